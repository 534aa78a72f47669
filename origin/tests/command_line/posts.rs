//! `darkroom posts`

use crate::support::{ends, key};

#[test]
fn posts_says_what_it_needs_before_it_asks_anybody() {
    let key = key();
    let cases = [
        (
            "list",
            "",
            2,
            "the scope `posts:write` is needed: set DARKROOM_API_KEY",
        ),
        (
            "list --status hidden",
            &key,
            2,
            "draft, published, archived",
        ),
        ("show ../x", &key, 2, "no post's slug"),
        ("create", &key, 2, "--title"),
        (
            "create --title a --content-file /nowhere",
            &key,
            1,
            "`/nowhere` cannot be read",
        ),
        // Nothing listens on port 1.
        (
            "list --edge-url http://127.0.0.1:1",
            &key,
            1,
            "is it running, and is DARKROOM_EDGE_URL right?",
        ),
    ];
    for (args, api_key, expected, part) in cases {
        ends(
            "posts",
            args,
            ("DARKROOM_API_KEY", api_key),
            (expected, part),
        );
    }
}
