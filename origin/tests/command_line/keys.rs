//! `darkroom keys`

use crate::support::{ends, key};

#[test]
fn keys_says_what_it_needs_before_it_asks_anybody() {
    let key = key();
    let cases = [
        ("list", "", 2, "set DARKROOM_ADMIN_KEY"),
        (
            "list --edge-url edge.example.com",
            &key,
            2,
            "set DARKROOM_EDGE_URL",
        ),
        (
            "create --scopes read,root",
            &key,
            2,
            "generate, read, posts:write, admin",
        ),
        ("create --expires-in soon", &key, 2, "15m"),
        // Nothing listens on port 1.
        (
            "list --edge-url http://127.0.0.1:1",
            &key,
            1,
            "is it running, and is DARKROOM_EDGE_URL right?",
        ),
    ];
    for (args, admin_key, expected, part) in cases {
        ends(
            "keys",
            args,
            ("DARKROOM_ADMIN_KEY", admin_key),
            (expected, part),
        );
    }
}
