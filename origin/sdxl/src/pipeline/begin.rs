//! The latents that a run begins with.

use burn::tensor::{DType, Tensor};

use super::Pipeline;
use super::denoise::Kept;
use super::picture::{Mask, Picture};
use super::prepare::invalid;
use super::run::{Run, Start};
use crate::RunError;
use crate::noise::{Draw, NoiseStream};
use crate::scheduler::Step;

impl Pipeline {
    /// The latents that a run begins with. What is drawn is drawn in diffusers' order.
    pub(super) fn begin(
        &self,
        run: &Run,
        first: &Step,
        init_noise_sigma: f64,
        shape: [usize; 4],
        noise: &mut NoiseStream,
    ) -> Result<Begun, RunError> {
        let device = self.unet.device();
        match &run.start {
            Start::Noise => {
                let latents = noise
                    .draw(Draw::Start, shape, device)
                    .mul_scalar(init_noise_sigma);
                Ok(Begun::of(latents))
            }
            Start::Latents(latents) => {
                if run.denoising_start.is_none() {
                    let message = "is needed where a run goes on from another's latents";
                    return Err(invalid("denoising_start", message));
                }
                if latents.shape != shape || !latents.is_whole() {
                    let message = format!("must have shape {shape:?}, not {:?}", latents.shape);
                    return Err(invalid("latents", message));
                }
                Ok(Begun::of(latents.to_tensor(device)))
            }
            Start::Image { image, .. } => {
                image.check("image", [run.height as usize, run.width as usize])?;
                let clean = self.encode(image, Draw::Image, shape, noise)?;
                if run.denoising_start.is_some() {
                    return Ok(Begun::of(clean));
                }
                let fresh = noise.draw(Draw::Start, shape, device);
                Ok(Begun::of(first.add_noise(clean, fresh)))
            }
            Start::Inpaint {
                image,
                mask,
                strength,
            } => {
                let is_whole = *strength >= 1.0 && run.denoising_start.is_none();
                self.begin_inpaint(
                    run,
                    (image, mask),
                    is_whole,
                    first,
                    init_noise_sigma,
                    shape,
                    noise,
                )
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the second half of `begin`")]
    fn begin_inpaint(
        &self,
        run: &Run,
        (image, mask): (&Picture, &Mask),
        is_whole: bool,
        first: &Step,
        init_noise_sigma: f64,
        shape: [usize; 4],
        noise: &mut NoiseStream,
    ) -> Result<Begun, RunError> {
        let device = self.unet.device();
        let size = [run.height as usize, run.width as usize];
        mask.check("mask", size)?;
        image.check("image", size)?;
        // An inpainting model that begins with noise alone does not need the whole picture's.
        let clean = (!self.sees_mask() || !is_whole)
            .then(|| self.encode(image, Draw::Image, shape, noise))
            .transpose()?;
        let fresh = noise.draw(Draw::Start, shape, device);
        let latents = match &clean {
            Some(clean) if run.denoising_start.is_some() => clean.clone(),
            Some(clean) if !is_whole => first.add_noise(clean.clone(), fresh.clone()),
            _ => fresh.clone().mul_scalar(init_noise_sigma),
        };
        let pixels = mask.to_tensor(device);
        let masked = self.encode_tensor(
            image.to_tensor(device) * pixels.clone().neg().add_scalar(1.0),
            Draw::Masked,
            shape,
            noise,
        )?;
        let mask = at_latents(pixels, shape);
        if self.sees_mask() {
            let [batch, _, height, width] = shape;
            let mask = mask.expand([batch, 1, height, width]);
            return Ok(Begun {
                latents,
                kept: None,
                beside: Some(Tensor::cat(vec![mask, masked], 1)),
            });
        }
        Ok(Begun {
            latents,
            kept: clean.map(|clean| Kept {
                mask,
                clean,
                noise: fresh,
            }),
            beside: None,
        })
    }

    fn encode(
        &self,
        image: &Picture,
        draw: Draw,
        shape: [usize; 4],
        noise: &mut NoiseStream,
    ) -> Result<Tensor<4>, RunError> {
        self.encode_tensor(image.to_tensor(self.unet.device()), draw, shape, noise)
    }

    /// A sample of what the VAE makes of a picture `[1, 3, height, width]`, scaled.
    fn encode_tensor(
        &self,
        image: Tensor<4>,
        draw: Draw,
        shape: [usize; 4],
        noise: &mut NoiseStream,
    ) -> Result<Tensor<4>, RunError> {
        let vae = self.vae.network()?;
        let moments = vae.encode(image.cast(self.vae.dtype()));
        let mean = moments.mean.cast(DType::F32).expand(shape);
        let deviation = moments.logvar.cast(DType::F32).mul_scalar(0.5).exp();
        let fresh = noise.draw(draw, shape, self.unet.device());
        let sample = mean + deviation.expand(shape) * fresh;
        Ok(sample.mul_scalar(self.vae.config().scaling_factor))
    }
}

/// What a run begins with.
pub(super) struct Begun {
    pub latents: Tensor<4>,
    pub kept: Option<Kept>,
    pub beside: Option<Tensor<4>>,
}

impl Begun {
    fn of(latents: Tensor<4>) -> Self {
        Self {
            latents,
            kept: None,
            beside: None,
        }
    }
}

/// A mask `[1, 1, height, width]` at the latents' size: every latent's first pixel.
fn at_latents(mask: Tensor<4>, [_, _, height, width]: [usize; 4]) -> Tensor<4> {
    let [_, _, rows, columns] = mask.dims();
    let (down, across) = (rows / height, columns / width);
    mask.reshape([height, down, width, across])
        .narrow(1, 0, 1)
        .narrow(3, 0, 1)
        .reshape([1, 1, height, width])
}
