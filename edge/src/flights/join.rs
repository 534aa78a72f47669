//! Joining a recipe's flight.

use std::time::Duration;

use wasm_bindgen::JsValue;
use worker::Env;

use super::message::{BOARDING, Boarding, Role, read};
use crate::border::{self, Lines, Outgoing};
use crate::failure::Failure;
use crate::order::Order;
use crate::sending::Whole;
use crate::settings::Origin;
use crate::{objects, settings};

/// What the object may take beside the origin.
const GRACE: Duration = Duration::from_secs(10);

/// What came of joining.
pub struct Flown {
    /// What the origin answered.
    pub answer: Result<Whole, Failure>,
    /// What the caller was to the flight.
    pub role: Role,
}

impl Flown {
    /// Of a job that nobody else can have joined.
    pub fn alone(answer: Result<Whole, Failure>) -> Self {
        Self {
            answer,
            role: Role::Led,
        }
    }
}

/// Asks for the pictures of the recipe called `name`, together with all who want them now. The body
/// is told before any waiting: nobody here needs it after that, and a Worker has little room.
pub fn join(
    env: &Env,
    name: &str,
    order: &Order<'_>,
    origin: &Origin,
) -> Result<impl Future<Output = Result<Flown, Failure>> + use<>, Failure> {
    let boarding = Boarding {
        account: order.caller.as_str().to_owned(),
        priority: order.caller.priority,
        job: order.job.to_owned(),
        task_id: order.task_id.map(str::to_owned),
        prefer: order.prefer.clone(),
        wait: order.wait,
        deadline: order.deadline,
        request_id: order.request_id.to_owned(),
        traceparent: order.trace.to_string(),
    };
    let headers = Lines::default();
    let boarding = boarding.to_header().map_err(worker::Error::from)?;
    headers.set(BOARDING, &boarding);
    // Twice the wait: a caller may find that the job it joined is gone, and begin its own.
    let limit = order.limit(origin).saturating_mul(2).saturating_add(GRACE);
    let request = Outgoing {
        method: "POST",
        headers,
        body: border::bytes(order.body),
        limit,
    };
    let (env, name) = (env.clone(), name.to_owned());
    Ok(async move {
        let answer = objects::send(&env, settings::FLIGHTS, &name, request).await?;
        let (role, answer) = read(answer)?;
        Ok(Flown { answer, role })
    })
}

/// Forgets a recipe's pictures: for whoever asks next they are made anew.
pub async fn forget(env: &Env, name: &str) -> Result<(), Failure> {
    let request = Outgoing {
        method: "DELETE",
        headers: Lines::default(),
        body: JsValue::UNDEFINED,
        limit: GRACE,
    };
    let forgotten = objects::send(env, settings::FLIGHTS, name, request);
    forgotten.await.map(drop)
}
