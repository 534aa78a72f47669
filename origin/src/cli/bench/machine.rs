//! What a measurement was made on.

use std::fs;
use std::thread::available_parallelism;

/// The processor by name, where the system says it, and how many threads run on it at once.
pub fn processor() -> String {
    let name = fs::read_to_string("/proc/cpuinfo");
    let name = name
        .ok()
        .as_deref()
        .and_then(model_name)
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let threads = available_parallelism().map_or(1, usize::from);
    format!("{name}, {threads} threads")
}

/// Linux tells of each thread; they are alike.
fn model_name(info: &str) -> Option<String> {
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    let mut names = lines.filter(|(key, _)| key.trim() == "model name");
    names.next().map(|(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_name_is_found_among_the_rest() {
        let info = "processor\t: 0\nmodel name\t: Some: CPU @ 2 GHz\nflags\t: fpu\n";
        assert_eq!(model_name(info).as_deref(), Some("Some: CPU @ 2 GHz"));
        assert_eq!(model_name("processor : 0"), None);
    }
}
