//! Posts for people to read.

use darkroom_shared::posts::Post;
use darkroom_shared::timestamp::to_rfc3339;

use crate::cli::print;

const HEAD: [&str; 4] = ["slug", "status", "published", "title"];

/// A post with its text.
pub fn post(post: &Post) -> String {
    let [slug, status, published, title] = cells(post);
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    format!(
        "{title}\n\n\
         slug       {slug}\n\
         status     {status}\n\
         published  {published}\n\
         author     {}\n\
         category   {}\n\
         tags       {}\n\
         image      {}\n\n\
         {}\n",
        or_none(&post.author_id),
        or_none(&post.category_id),
        post.tags.join(", "),
        or_none(&post.featured_image_url),
        post.content
    )
}

/// Posts, a line each.
pub fn list(posts: &[Post]) -> String {
    if posts.is_empty() {
        return "There are no such posts: `darkroom posts create` makes one.\n".to_owned();
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(posts.iter().map(cells));
    print::table(&rows)
}

fn cells(post: &Post) -> [String; HEAD.len()] {
    [
        post.slug.clone(),
        post.status.as_str().to_owned(),
        post.published_at.map_or_else(|| "-".to_owned(), to_rfc3339),
        post.title.clone(),
    ]
}
