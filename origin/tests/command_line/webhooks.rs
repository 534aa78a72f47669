//! `darkroom webhooks`

use crate::support::{ends, key};

#[test]
fn webhooks_says_what_it_needs_before_it_asks_anybody() {
    let key = key();
    for (args, api_key, expected, part) in [
        ("list", "", 2, "set DARKROOM_API_KEY"),
        ("resend ../x", &key, 2, "`darkroom webhooks list`"),
        ("list --limit 0", &key, 2, "1..=100"),
        (
            "secret --rotate --edge-url http://127.0.0.1:1",
            &key,
            1,
            "is DARKROOM_EDGE_URL right?",
        ),
    ] {
        ends(
            "webhooks",
            args,
            ("DARKROOM_API_KEY", api_key),
            (expected, part),
        );
    }
}
