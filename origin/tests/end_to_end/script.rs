//! `scripts/dev` itself: what it starts it stops, and `--once` leaves a picture.

use std::net::TcpStream;
use std::process::Stdio;

use crate::picture::Picture;
use crate::stack::{Stack, dev_command, wait};

fn answers(url: &str) -> bool {
    let address = url.strip_prefix("http://").expect("an address");
    TcpStream::connect(address).is_ok()
}

#[test]
fn a_signal_to_the_script_alone_stops_all_it_started() {
    let mut stack = Stack::start(&[]);
    assert!(answers(&stack.edge) && answers(&stack.origin));
    stack.stop();
    assert!(!answers(&stack.edge), "the edge still answers");
    assert!(!answers(&stack.origin), "the origin still answers");
    assert!(
        !stack.state().join("env").exists(),
        "the environment is still there"
    );
}

#[test]
fn once_makes_one_picture_and_ends() {
    let state = tempfile::tempdir().expect("a state folder");
    let file = state.path().join("out.png");
    let mut dev = dev_command(state.path())
        .args(["--once", "a green square on a yellow background", "-o"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("scripts/dev starts");
    assert!(wait(&mut dev).success());
    let picture = Picture::decode(&std::fs::read(&file).expect("the picture"));
    let [red, green, blue] = picture.colour_at(64, 64);
    assert!(
        green > red + 50.0 && green > blue + 50.0,
        "the middle: {red} {green} {blue}"
    );
    let [red, green, blue] = picture.colour_at(5, 5);
    assert!(
        red > 180.0 && green > 150.0 && blue < 120.0,
        "a corner: {red} {green} {blue}"
    );
    assert!(!state.path().join("env").exists());
}
