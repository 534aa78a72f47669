//! Pictures that steer a run.
//!
//! A [`ControlModel`] is a [`controlnet`] or a [`t2i_adapter`]; either makes of a picture what is
//! added inside of the UNet at every step. [`canny`] makes the picture that those trained on edges
//! want; what wants depths or poses is given a picture of them.

mod canny;
mod controlnet;
mod controlnet_config;
mod model;
mod t2i_adapter;

pub(crate) use controlnet::ControlNetModel;
pub use model::ControlModel;
pub(crate) use model::{Kind, Steered};
pub(crate) use t2i_adapter::T2iAdapter;
