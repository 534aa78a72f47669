//! An answer on its way out: kept as texts until it leaves, so that all of it crosses the border to the
//! runtime at once.

use std::borrow::Cow;
use std::cell::RefCell;

use futures_util::TryStream;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{ArrayBuffer, Uint8Array};
use worker::{ResponseBody, ResponseBuilder};

use crate::border::{self, Lines};

/// Headers by their names in lower case.
#[derive(Clone, Default)]
pub struct Headers(RefCell<Vec<(Name, String)>>);

type Name = Cow<'static, str>;

impl Headers {
    /// The first value under a name.
    pub fn get(&self, name: &str) -> Option<String> {
        let headers = self.0.borrow();
        let found = headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone())
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.borrow().iter().any(|(found, _)| found == name)
    }

    /// Sets one, in place of whatever is there under this name.
    pub fn set(&self, name: impl Into<Name>, value: impl Into<String>) {
        let name = name.into();
        self.0.borrow_mut().retain(|(found, _)| *found != name);
        self.append(name, value);
    }

    /// Adds one beside whatever is there under this name.
    pub fn append(&self, name: impl Into<Name>, value: impl Into<String>) {
        self.0.borrow_mut().push((name.into(), value.into()));
    }

    /// All of them.
    pub fn entries(&self) -> Vec<(String, String)> {
        let owned = |(name, value): &(Name, String)| (name.to_string(), value.clone());
        self.0.borrow().iter().map(owned).collect()
    }
}

/// What an answer says.
pub enum Body {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// What the runtime has: bytes, or a stream.
    Runtime(JsValue),
    /// The one of what was kept.
    Kept,
}

/// An answer.
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Beside those of what it was kept as.
    pub headers: Headers,
    /// Its body.
    pub body: Body,
    /// What a cache gave, whose headers it has too: they cannot be changed.
    pub kept: Option<web_sys::Response>,
}

impl Reply {
    /// One without headers and body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Headers::default(),
            body: Body::Empty,
            kept: None,
        }
    }

    /// The same with a header.
    pub fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same with these bytes.
    pub fn bytes(self, bytes: Vec<u8>) -> Self {
        self.body(Body::Bytes(bytes))
    }

    /// The same with this body.
    pub fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// The same with a body that comes piece by piece.
    pub fn stream<S>(self, stream: S) -> worker::Result<Self>
    where
        S: TryStream<Ok = Vec<u8>> + 'static,
        S::Error: Into<worker::Error>,
    {
        Ok(self.body(
            ResponseBuilder::new()
                .from_stream(stream)?
                .into_parts()
                .1
                .into(),
        ))
    }

    /// The runtime's own answer, with what is `added` to its headers.
    pub fn leave(self, added: &Lines) -> worker::Result<web_sys::Response> {
        let lines = Lines::default();
        for (name, value) in &*self.headers.0.borrow() {
            lines.append(name, value);
        }
        let body = match self.body {
            Body::Empty => JsValue::NULL,
            // A copy: the runtime may still read it when this memory has moved.
            Body::Bytes(bytes) => Uint8Array::from(bytes.as_slice()).into(),
            Body::Runtime(body) => body,
            Body::Kept => JsValue::UNDEFINED,
        };
        border::response(self.status, self.kept.as_ref(), [&lines, added], &body)
    }
}

impl From<web_sys::ReadableStream> for Body {
    fn from(stream: web_sys::ReadableStream) -> Self {
        Self::Runtime(stream.into())
    }
}

impl From<ResponseBody> for Body {
    fn from(body: ResponseBody) -> Self {
        match body {
            ResponseBody::Empty => Self::Empty,
            ResponseBody::Body(bytes) => Self::Bytes(bytes),
            ResponseBody::Stream(stream) => stream.into(),
        }
    }
}

impl Body {
    /// Reads it to its end, outside the wasm's memory, where nothing would ever give it back.
    pub async fn read(self) -> worker::Result<Uint8Array> {
        match self {
            // Who keeps the answer that a body was kept with has the stream there.
            Self::Empty | Self::Kept => Ok(Uint8Array::new_with_length(0)),
            Self::Bytes(bytes) => Ok(bytes.as_slice().into()),
            Self::Runtime(body) => match body.dyn_into::<Uint8Array>() {
                Ok(bytes) => Ok(bytes),
                Err(stream) => {
                    let stream = stream.unchecked_ref();
                    let whole = web_sys::Response::new_with_opt_readable_stream(Some(stream))?;
                    let buffer = JsFuture::from(whole.array_buffer()?).await?;
                    Ok(Uint8Array::new(buffer.unchecked_ref::<ArrayBuffer>()))
                }
            },
        }
    }
}
