//! What a bundle holds: `index.js` (the entry), `glue.js` and `snippets/` (what wasm-bindgen
//! writes) and `index_bg.wasm`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use wasm_bindgen_cli_support::Bindgen;

/// The Worker's own module: hands requests to the glue, and revives a broken instance.
const ENTRY: &str = include_str!("entry.js");

/// What `entry.js` takes from the glue.
const EXPORTS: [&str; 7] = [
    "fetch",
    "Flight",
    "IdempotencyKey",
    "KeyAllowance",
    "scheduled",
    "__worker_init_state",
    "__wbg_reset_state",
];

/// Writes the bundle of `wasm` into the folder `into`.
pub fn write(wasm: &Path, into: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(wasm)
        .out_name("index")
        // Instantiates the wasm while the module is loaded, as workerd wants it.
        .module(true)?
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .typescript(false)
        // For debuggers alone, and every byte is loaded at each start.
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(into)
        .context("wasm-bindgen cannot make the glue")?;

    let generated = into.join("index.js");
    let glue = fs::read_to_string(&generated)
        .with_context(|| format!("cannot read {}", generated.display()))?;
    write_file(&into.join("glue.js"), &plain_imports(&glue)?)?;
    write_file(&generated, ENTRY)
}

/// Neither workerd nor wrangler reads source-phase imports yet: there, importing a wasm file
/// is what gives its module.
fn plain_imports(glue: &str) -> Result<String> {
    ensure!(
        glue.contains("import source "),
        "the glue does not import its wasm as expected: another version of wasm-bindgen?"
    );
    for name in EXPORTS {
        ensure!(
            glue.contains(name),
            "the glue does not export {name}: is this the edge's wasm?"
        );
    }
    Ok(glue.replace("import source ", "import "))
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glue_of_another_form_is_refused_by_name() {
        let glue = "import source wasm from './index_bg.wasm';\n\
            fetch Flight IdempotencyKey KeyAllowance scheduled __worker_init_state";
        let error = plain_imports(glue).expect_err("an export is missing");
        assert!(error.to_string().contains("__wbg_reset_state"));
        assert!(plain_imports("import wasm from './index_bg.wasm'").is_err());

        let glue = format!("{glue} __wbg_reset_state");
        let plain = plain_imports(&glue).expect("complete");
        assert!(plain.starts_with("import wasm from"));
    }
}
