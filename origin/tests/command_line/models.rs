//! `darkroom models`

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{darkroom, run};

/// Serves a folder's files, or the rest of one, until the process ends; its address, and what was
/// asked for.
fn file_server(folder: &Path) -> (String, Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("address");
    let (sender, asked) = channel();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().expect("a request");
            let path = first.split(' ').nth(1).expect("a path").to_owned();
            let headers: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let from = headers.iter().find_map(|line| {
                let range = line.strip_prefix("range: bytes=")?;
                range.strip_suffix('-')?.parse::<usize>().ok()
            });
            let file = std::fs::read(folder.join(path.trim_start_matches('/'))).expect("file");
            let status = if from.is_some() {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let rest = &file[from.unwrap_or(0)..];
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                rest.len()
            );
            let mut stream = &stream;
            stream.write_all(head.as_bytes()).expect("sent");
            stream.write_all(rest).expect("sent");
            let said = format!("{path} from {}", from.unwrap_or(0));
            if sender.send(said).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}"), asked)
}

#[test]
fn a_model_is_pulled_from_where_it_broke_off_and_checked() {
    let source = tempfile::tempdir().expect("folder");
    std::fs::create_dir(source.path().join("unet")).expect("folder");
    let files = [
        ("model_index.json", "{}"),
        ("unet/weights.safetensors", "0123456789"),
    ];
    let mut sums = String::new();
    for (name, content) in files {
        std::fs::write(source.path().join(name), content).expect("written");
        let digest = hex::encode(Sha256::digest(content.as_bytes()));
        sums.push_str(&[&digest, "  ", name, "\n"].concat());
    }
    std::fs::write(source.path().join("SHA256SUMS"), &sums).expect("written");
    let (url, asked) = file_server(source.path());
    let models = tempfile::tempdir().expect("folder");
    let target = models.path().join("tiny");
    let command = |args: &[&str]| {
        let mut command = darkroom(&["models"]);
        run(command.args(args).arg(&target).arg("--json"))
    };

    // What a connection that broke has left.
    std::fs::create_dir_all(target.join("unet")).expect("folder");
    let part = target.join("unet/weights.safetensors.part");
    std::fs::write(&part, "0123").expect("written");
    let (code, out, error) = command(&["pull", &url]);
    assert_eq!(code, Some(0), "{error}");
    let pulled: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(pulled["files"], 2);
    let weights = std::fs::read_to_string(target.join("unet/weights.safetensors"));
    assert_eq!(weights.expect("read"), "0123456789");
    assert!(!part.exists());
    let asked: Vec<_> = asked.try_iter().collect();
    assert_eq!(
        asked,
        [
            "/SHA256SUMS from 0",
            "/model_index.json from 0",
            "/unet/weights.safetensors from 4"
        ]
    );

    let mut list = darkroom(&["models", "list", "--json"]);
    let (_, list, error) = run(list.arg(models.path()));
    let list: Value = serde_json::from_str(&list).expect(&error);
    assert_eq!(list["items"][0]["name"], "tiny");

    std::fs::write(target.join("model_index.json"), "{ }").expect("written");
    let (code, _, error) = command(&["verify"]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("`model_index.json` has other bytes"),
        "{error}"
    );
    let (code, _, error) = command(&["pull", &url, "--sha256", "00"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("--sha256"), "{error}");

    // A server whose file is not what its list says.
    std::fs::write(source.path().join("model_index.json"), "evil").expect("written");
    let (code, _, error) = command(&["pull", &url]);
    assert_eq!(code, Some(1));
    assert!(error.contains("nothing of it was kept"), "{error}");
    let kept = std::fs::read_to_string(target.join("model_index.json"));
    assert_eq!(kept.expect("read"), "{ }");
}
