//! Images for people to read.

use darkroom_shared::job::{Generated, Image, ListedImage};
use darkroom_shared::timestamp::to_rfc3339;

use crate::cli::print;

const HEAD: [&str; 5] = ["id", "made", "made of", "seed", "prompt"];
/// Characters of a prompt in a line.
const PROMPT: usize = 40;

/// What is known of an image.
pub fn image(image: &Image) -> String {
    format!(
        "id          {}\n\
         url         {}\n\
         size        {} x {}, {} bytes of {}\n\
         seed        {}\n\
         visibility  {}\n\
         made of     {}\n",
        image.id,
        image.url,
        image.width,
        image.height,
        image.bytes,
        image.content_type,
        image.seed,
        image.visibility.as_str(),
        image.previous_id.as_deref().unwrap_or("-"),
    )
}

/// What came of having an image made.
pub fn generated(made: &Generated) -> String {
    if made.images.is_empty() {
        let job = &made.job.id;
        return format!("the job {job} is {}\n", made.job.status.as_str());
    }
    let images: Vec<String> = made.images.iter().map(image).collect();
    images.join("\n")
}

/// Images, a line each.
pub fn list(images: &[ListedImage]) -> String {
    if images.is_empty() {
        return "There are no such images.\n".to_owned();
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(images.iter().map(cells));
    print::table(&rows)
}

fn cells(listed: &ListedImage) -> [String; HEAD.len()] {
    let prompt = listed.recipe.prompt.chars().take(PROMPT);
    let of = listed.image.previous_id.clone();
    [
        listed.image.id.clone(),
        to_rfc3339(listed.created_at),
        of.unwrap_or_else(|| "-".to_owned()),
        listed.image.seed.to_string(),
        prompt
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect(),
    ]
}
