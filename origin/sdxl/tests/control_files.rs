//! The files of what steers runs, and of TAESD: loaded whole and for their model, or refused.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use darkroom_sdxl::{Control, LoadError, LoadOptions, Pipeline, Run};
use support::{changed, fixtures, on_cpu, picture, tiny, tiny_run, waves};

static PIPELINE: LazyLock<Pipeline> = LazyLock::new(tiny);

fn refusal(path: &Path) -> LoadError {
    PIPELINE.load_control(path).expect_err("refused")
}

#[test]
fn a_controlnet_may_come_as_one_file_without_a_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("edges.safetensors");
    let weights = "controlnet/diffusion_pytorch_model.safetensors";
    fs::copy(fixtures().join(weights), &file).expect("copied");
    let steered = |path: &Path| {
        let model = Arc::new(PIPELINE.load_control(path).expect("a control"));
        let run = Run {
            controls: vec![Control::new(model, waves(64, 64))],
            ..tiny_run(&PIPELINE, "a fox")
        };
        picture(&PIPELINE, &run)
    };
    assert_eq!(steered(&file), steered(&fixtures().join("controlnet")));
}

#[test]
fn a_file_without_a_configuration_is_checked_like_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("deep.safetensors");
    // Every second of them halves the picture: more often than it has pixels.
    let layers = (0..140).map(|i| format!("controlnet_cond_embedding.blocks.{i}.weight"));
    let layers = layers.enumerate().map(|(i, name)| {
        let tensor = serde_json::json!({
            "dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4],
        });
        (name, tensor)
    });
    let header = serde_json::Value::Object(layers.collect()).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + 4 * 140, 0);
    fs::write(&file, bytes).expect("written");
    let text = refusal(&file).to_string();
    assert!(text.contains("deep.safetensors"), "{text}");
    assert!(text.contains("embedding_out_channels other than"), "{text}");
}

#[test]
fn a_control_for_another_model_says_what_differs() {
    let width = "\"cross_attention_dim\": ";
    let copy = changed("controlnet", width, "\"cross_attention_dim\": 1");
    let error = refusal(copy.path());
    assert!(matches!(error, LoadError::OtherModel { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("cross_attention_dim"), "{text}");
    let copy = changed("t2i_adapter", "\"channels\": [", "\"channels\": [16, ");
    let text = refusal(copy.path()).to_string();
    assert!(text.contains("channels [16, "), "{text}");
    for (name, from, to, said) in [
        (
            "controlnet",
            "\"cross_attention_dim\": 80",
            "\"cross_attention_dim\": [80, 80, 64]",
            "cross_attention_dim [80, 64, 64], the model has [80, 80, 80]",
        ),
        (
            "controlnet",
            "\"addition_time_embed_dim\": 8",
            "\"addition_time_embed_dim\": 16",
            "addition_time_embed_dim [16], the model has [8]",
        ),
        (
            "t2i_adapter",
            "full_adapter_xl",
            "full_adapter",
            "levels of [16, 32, 64, 128] pixels a side, the model has [16, 16, 32, 32]",
        ),
        (
            "t2i_adapter",
            "\"downscale_factor\": 16",
            "\"downscale_factor\": 8",
            "levels of [8, 8, 16, 16] pixels a side, the model has [16, 16, 32, 32]",
        ),
    ] {
        let copy = changed(name, from, to);
        let error = refusal(copy.path());
        assert!(matches!(error, LoadError::OtherModel { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(said), "{text}");
        assert!(text.contains(&copy.path().display().to_string()), "{text}");
    }
    // A refiner has levels of other widths.
    let refiner = fixtures().join("refiner/unet");
    let text = refusal(&refiner).to_string();
    assert!(text.contains("_class_name UNet2DConditionModel"), "{text}");
}

#[test]
fn a_controlnet_of_stable_diffusion_1_says_that_it_is_for_another_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = r#"{"_class_name": "ControlNetModel", "addition_embed_type": null,
        "addition_time_embed_dim": null, "projection_class_embeddings_input_dim": null}"#;
    for config in [config, r#"{"_class_name": "ControlNetModel"}"#] {
        fs::write(folder.path().join("config.json"), config).expect("written");
        let error = refusal(folder.path());
        assert!(matches!(error, LoadError::OtherModel { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("config.json is for another model"), "{text}");
        assert!(text.contains("addition_embed_type null"), "{text}");
    }
}

#[test]
fn a_control_that_is_not_whole_names_its_tensor() {
    let copy = changed(
        "t2i_adapter",
        "\"num_res_blocks\": 2",
        "\"num_res_blocks\": 3",
    );
    let text = refusal(copy.path()).to_string();
    assert!(
        text.contains("adapter.body.0.resnets.2.block1.weight"),
        "{text}"
    );
    let copy = changed(
        "t2i_adapter",
        "\"num_res_blocks\": 2",
        "\"num_res_blocks\": 1",
    );
    let error = refusal(copy.path());
    assert!(matches!(error, LoadError::ExtraTensors { .. }), "{error}");
    let copy = changed("t2i_adapter", "full_adapter_xl", "light_adapter");
    let text = refusal(copy.path()).to_string();
    assert!(text.contains("adapter_type light_adapter"), "{text}");
    let nothing = PathBuf::from("no/such/file.safetensors");
    let text = refusal(&nothing).to_string();
    assert!(text.contains("no/such/file.safetensors"), "{text}");
}

#[test]
fn a_taesd_that_does_not_fit_says_what_differs() {
    for (from, to, said) in [
        (
            "\"latent_channels\": 4",
            "\"latent_channels\": 16",
            "16 channels of latents",
        ),
        (
            "\"in_channels\": 3",
            "\"in_channels\": 1",
            "an in_channels or out_channels",
        ),
        (
            "\"out_channels\": 3",
            "\"out_channels\": 4",
            "an in_channels or out_channels",
        ),
        (
            "\"scaling_factor\": 1.0",
            "\"scaling_factor\": 0.0",
            "scaling_factor 0",
        ),
        (
            "\"scaling_factor\": 1.0",
            "\"scaling_factor\": Infinity",
            "scaling_factor inf",
        ),
    ] {
        let copy = changed("taesd", from, to);
        let options = LoadOptions {
            taesd: Some(copy.path()),
            ..on_cpu()
        };
        let error = Pipeline::load(&fixtures().join("pipeline"), options).expect_err("refused");
        assert!(error.to_string().contains(said), "{error}");
    }
}
