//! A job on its way, as its events tell: they are read to the last one, over again where the line
//! breaks.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use darkroom_shared::input::push_base64;
use darkroom_shared::job::{Generated, Image, Job, JobError, Status};
use darkroom_shared::openai::sse::{Message, Parser};
use darkroom_shared::problem::{Code, Problem};
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use serde::Deserialize;
use worker::{ByteStream, Delay};

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::Failure;
use crate::origin::{self, Ask};
use crate::sending::{Opened, unreachable_origin};
use crate::settings::Origin;
use crate::{json, log, pictures};

/// The origin says every 15 seconds that it is still there.
const SILENCE: Duration = Duration::from_mins(1);
/// How often in a row a line may break, or not come about, a second more apart each time: half a
/// minute in all.
const MAX_BREAKS: u32 = 8;

/// One job, and how to hear more of it.
pub struct Following {
    pub call: Call,
    /// As it was accepted.
    pub job: Job,
    caller: Caller,
    origin: Origin,
    /// What was there from the beginning.
    images: Option<Vec<Image>>,
    stream: Option<ByteStream>,
    parser: Parser,
    messages: VecDeque<Message>,
    last_event: String,
    breaks: u32,
}

/// What there is to hear.
pub enum News {
    /// Nothing, but the line still stands.
    StillThere,
    /// A small picture, as a `data:` URL.
    Preview(String),
    /// The job's pictures: there will be nothing more.
    Images(Vec<Image>),
}

impl Following {
    /// Follows the job of an answer.
    pub fn new(call: Call, caller: Caller, origin: Origin, generated: Generated) -> Self {
        let is_done = generated.job.status == Status::Succeeded;
        Self {
            call,
            caller,
            origin,
            images: is_done.then_some(generated.images),
            job: generated.job,
            stream: None,
            parser: Parser::default(),
            messages: VecDeque::new(),
            last_event: String::new(),
            breaks: 0,
        }
    }

    /// Waits for the next news. A job that ends without its pictures is a failure.
    pub async fn next(&mut self) -> Result<News, Failure> {
        if let Some(images) = self.images.take() {
            return Ok(News::Images(images));
        }
        loop {
            match self.messages.pop_front() {
                Some(Message::Comment) => return Ok(News::StillThere),
                Some(Message::Event { id, name, data }) => {
                    self.last_event = id;
                    self.breaks = 0;
                    if let Some(news) = news(&name, &data)? {
                        return Ok(news);
                    }
                }
                None => self.listen().await?,
            }
        }
    }

    /// Waits for the job's pictures.
    pub async fn images(&mut self) -> Result<Vec<Image>, Failure> {
        loop {
            if let News::Images(images) = self.next().await? {
                return Ok(images);
            }
        }
    }

    /// Appends a picture's file in base64 to a text.
    pub async fn push_picture(&self, image: &Image, text: &mut String) -> Result<(), Failure> {
        let picture = pictures::bytes(&self.call, &image.key).await;
        let picture = picture.map_err(|failure| match failure.problem() {
            // The caller has asked for no picture of this name.
            Some(problem) if problem.status < 500 => unreachable_origin(),
            _ => failure,
        })?;
        if u64::from(picture.length()) != image.bytes {
            log::error(&self.call.request_id, "not the picture that was made");
            return Err(unreachable_origin());
        }
        push_base64(&picture.to_vec(), text);
        Ok(())
    }

    /// Takes in what comes next, on a new line where there is none.
    async fn listen(&mut self) -> Result<(), Failure> {
        let Some(stream) = &mut self.stream else {
            return self.connect().await;
        };
        let silence = pin!(Delay::from(SILENCE));
        if let Either::Left((Some(Ok(piece)), _)) = select(stream.next(), silence).await {
            self.messages.extend(self.parser.feed(&piece));
            return Ok(());
        }
        log::warn(&self.call.request_id, "the job's events broke off");
        self.stream = None;
        self.parser = Parser::default();
        self.broke(unreachable_origin())
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        Delay::from(Duration::from_secs(self.breaks.into())).await;
        match self.open().await {
            Ok(stream) => self.stream = Some(stream),
            Err(failure) if is_final(&failure) => return Err(failure),
            Err(failure) => self.broke(failure)?,
        }
        Ok(())
    }

    fn broke(&mut self, failure: Failure) -> Result<(), Failure> {
        self.breaks += 1;
        if self.breaks > MAX_BREAKS {
            return Err(failure);
        }
        Ok(())
    }

    async fn open(&self) -> Result<ByteStream, Failure> {
        let path = format!("/api/jobs/{}/events", self.job.id);
        let mut ask = self.ask(&path);
        ask.headers.push(("accept", "text/event-stream".to_owned()));
        if !self.last_event.is_empty() {
            ask.headers.push(("last-event-id", self.last_event.clone()));
        }
        match origin::open(&self.origin, ask).await? {
            Opened::Events(mut response) => Ok(response.stream()?),
            Opened::Whole(answer) => {
                let problem = answer.json::<Problem>().ok();
                let own = problem.filter(|problem| problem.status == answer.status);
                Err(own.map_or_else(unreachable_origin, Failure::from))
            }
        }
    }

    fn ask<'a>(&'a self, path: &'a str) -> Ask<'a> {
        Ask {
            method: "GET",
            path,
            query: "",
            ..Ask::new(&self.call, &self.caller, self.origin.timeout)
        }
    }
}

/// Whether another try would hear the same.
fn is_final(failure: &Failure) -> bool {
    matches!(failure, Failure::Problem(problem) if problem.code == Code::NotFound)
}

/// What an event says that matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    preview: Option<String>,
    images: Vec<Image>,
    error: Option<JobError>,
}

fn news(name: &str, data: &str) -> Result<Option<News>, Failure> {
    let told: Told = json::read(data).map_err(|_| unreachable_origin())?;
    match Status::parse(name) {
        None => Ok(told.preview.map(News::Preview)),
        Some(Status::Queued | Status::Running) => Ok(None),
        Some(Status::Succeeded) => Ok(Some(News::Images(told.images))),
        Some(Status::Canceled) => Err(Failure::new(Code::Canceled, "the job was canceled")),
        Some(Status::Failed) => Err(told.error.map_or_else(unreachable_origin, |error| {
            Failure::new(error.code, error.message)
        })),
    }
}
