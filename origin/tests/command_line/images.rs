//! `darkroom images`

use crate::support::{ends, key};

#[test]
fn images_says_what_it_needs_before_it_asks_anybody() {
    let key = key();
    for (args, api_key, expected, part) in [
        (
            "list",
            "",
            2,
            "the scope `generate` is needed: set DARKROOM_API_KEY",
        ),
        ("show ../x", &key, 2, "../x"),
        ("regenerate", &key, 2, "<ID>"),
        (
            "restore 0193c7a2-0000-7000-8000-000000000001 --edge-url http://127.0.0.1:1",
            &key,
            1,
            "is DARKROOM_EDGE_URL right?",
        ),
    ] {
        ends(
            "images",
            args,
            ("DARKROOM_API_KEY", api_key),
            (expected, part),
        );
    }
}
