//! A job's pictures as answers: in one document, or as events while they come.

use std::collections::VecDeque;

use darkroom_shared::job::Image;
use darkroom_shared::openai::{Look, answer, error};
use futures_util::stream::{try_unfold, unfold};
use serde_json::json;

use super::following::{Following, News};
use crate::call::now;
use crate::delivery::address_images;
use crate::failure::{Answer, Failure};
use crate::{log, respond};

/// Answers with all pictures, once they are there.
pub async fn document(mut following: Following, look: Look, by_url: bool) -> Answer {
    let mut images = following.images().await?;
    address_images(&following.call, &mut images).await?;
    let (head, tail) = look.document(&following.job, &images);
    if by_url {
        let items = images.iter();
        let items = items.map(|image| json!({ "url": image.url }).to_string());
        let items = items.collect::<Vec<_>>().join(",");
        let document = format!("{head}{items}{tail}").into_bytes();
        return Ok(respond::json_bytes(200, document));
    }
    let mut document = Document {
        following,
        images: images.into(),
        begin: head,
        end: Some(tail),
    };
    // What keeps the first picture away mostly keeps all away, and here can still be told.
    let first = document.next().await?;
    document.begin = first.unwrap_or_default();
    let document = try_unfold(document, Document::go_on);
    Ok(respond::json_bytes(200, Vec::new()).stream(document)?)
}

/// A document that is written picture by picture: all at once might be more than a Worker has room
/// for.
struct Document {
    following: Following,
    images: VecDeque<Image>,
    begin: String,
    end: Option<&'static str>,
}

impl Document {
    async fn go_on(mut self) -> worker::Result<Option<(Vec<u8>, Self)>> {
        match self.next().await {
            Ok(text) => Ok(text.map(|text| (text.into_bytes(), self))),
            Err(failure) => {
                let id = &self.following.call.request_id;
                log::error(id, format_args!("a picture is missing: {failure}"));
                Err("a picture is missing".into())
            }
        }
    }

    async fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut text = std::mem::take(&mut self.begin);
        let Some(image) = self.images.pop_front() else {
            return Ok(self.end.take().map(|end| text + end));
        };
        // Base64 has nothing that JSON would have to escape.
        text.push_str(r#"{"b64_json":""#);
        self.following.push_picture(&image, &mut text).await?;
        text.push_str(r#""}"#);
        if !self.images.is_empty() {
            text.push(',');
        }
        Ok(Some(text))
    }
}

/// Answers with what there is to be seen as it comes, and each picture when it is finished.
pub fn events(following: Following, look: Look) -> Answer {
    let telling = Telling {
        following,
        look,
        images: None,
        partial_images: 0,
        is_over: false,
    };
    Ok(respond::events().stream(unfold(telling, Telling::go_on))?)
}

/// A stream of events on its way.
struct Telling {
    following: Following,
    look: Look,
    /// Finished, and still to be told.
    images: Option<VecDeque<Image>>,
    partial_images: u32,
    is_over: bool,
}

impl Telling {
    async fn go_on(mut self) -> Option<(worker::Result<Vec<u8>>, Self)> {
        if self.is_over {
            return None;
        }
        let text = self.next().await.unwrap_or_else(|failure| {
            // The status has long been sent: clients know an error by its event, too.
            self.is_over = true;
            let problem = failure.into_problem(&self.following.call.request_id);
            Some(answer::event("error", &error::envelope(&problem)))
        })?;
        Some((Ok(text.into_bytes()), self))
    }

    async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(images) = &mut self.images {
                let Some(image) = images.pop_front() else {
                    return Ok(None);
                };
                let mut base64 = String::new();
                self.following.push_picture(&image, &mut base64).await?;
                let recipe = &self.following.job.recipe;
                return Ok(Some(self.look.completed(recipe, base64, seconds())));
            }
            match self.following.next().await? {
                News::StillThere => return Ok(Some(":\n\n".to_owned())),
                News::Preview(url) => {
                    let recipe = &self.following.job.recipe;
                    let index = self.partial_images;
                    self.partial_images += 1;
                    return Ok(Some(self.look.partial(recipe, &url, index, seconds())));
                }
                News::Images(images) => self.images = Some(images.into()),
            }
        }
    }
}

/// The present moment, in Unix seconds.
fn seconds() -> i64 {
    now().div_euclid(1000)
}
