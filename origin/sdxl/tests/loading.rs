//! A checkpoint is loaded whole or refused, with the reason and the place.

mod support;

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use darkroom_sdxl::{LoadError, LoadOptions, LoadProgress, Pipeline, Precision, Run};
use support::{
    copy_folder, demo_model, fixtures, load, on_cpu, picture, tensor_at, tiny, tiny_run,
};

/// What is said of a copy of the demo model with one file changed.
fn broken(file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> LoadError {
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(&demo_model(), copy.path());
    let path = copy.path().join(file);
    let bytes = fs::read(&path).expect("the file");
    fs::write(&path, change(bytes)).expect("written");
    load(copy.path()).expect_err("refused")
}

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

#[test]
fn broken_checkpoints_are_refused_with_file_and_reason() {
    let rename = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |mut bytes: Vec<u8>| {
            let text = String::from_utf8_lossy(&bytes[8..4096]).into_owned();
            let at = 8 + text.find(&from).expect("a name in the header");
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            bytes
        }
    };
    let replace = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("text");
            assert!(text.contains(&from));
            text.replace(&from, &to).into_bytes()
        }
    };
    let truncated = broken(UNET, |bytes| bytes[..bytes.len() / 2].to_vec());
    assert!(
        matches!(truncated, LoadError::Safetensors { .. }),
        "{truncated}"
    );
    let bias = "add_embedding.linear_1.bias";
    let renamed = broken(UNET, rename(bias, "add_embedding.linear_1.bios"));
    let text = renamed.to_string();
    assert!(text.contains(bias) && text.contains("missing"), "{text}");
    let smaller = broken(
        "unet/config.json",
        replace(
            "\"addition_time_embed_dim\": 32",
            "\"addition_time_embed_dim\": 16",
        ),
    );
    assert!(
        smaller
            .to_string()
            .contains("projection_class_embeddings_input_dim"),
        "{smaller}"
    );
    let narrower = broken(
        "unet/config.json",
        replace("\"cross_attention_dim\": 96", "\"cross_attention_dim\": 80"),
    );
    assert!(narrower.to_string().contains("80"), "{narrower}");
    let odd = broken(
        "unet/config.json",
        replace("\"in_channels\": 4", "\"in_channels\": 9"),
    );
    let text = odd.to_string();
    assert!(
        text.contains("conv_in.weight") && text.contains("[32, 9, 3, 3]"),
        "{text}"
    );
    let strange = broken(
        "unet/config.json",
        replace("\"act_fn\": \"silu\"", "\"act_fn\": \"relu\""),
    );
    assert!(strange.to_string().contains("act_fn relu"), "{strange}");
    let shallower = broken(
        "text_encoder/config.json",
        replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2"),
    );
    assert!(
        shallower.to_string().contains("encoder.layers.2"),
        "{shallower}"
    );
    let longer = broken(
        "tokenizer/tokenizer_config.json",
        replace("\"model_max_length\": 77", "\"model_max_length\": 78"),
    );
    assert!(longer.to_string().contains("rows of 78"), "{longer}");
    let strange = broken(
        "scheduler/scheduler_config.json",
        replace("EulerDiscreteScheduler", "MagicScheduler"),
    );
    assert!(strange.to_string().contains("MagicScheduler"), "{strange}");
    let no_json = broken("vae/config.json", |_| b"{".to_vec());
    assert!(matches!(no_json, LoadError::Config { .. }), "{no_json}");
    let unknown = broken(
        "scheduler/scheduler_config.json",
        replace("\"v_prediction\"", "\"x_prediction\""),
    );
    assert!(unknown.to_string().contains("x_prediction"), "{unknown}");
}

#[test]
fn a_unets_levels_are_checked_one_by_one() {
    let with = |from: &str, to: &str| {
        let error = broken("unet/config.json", |bytes| {
            let text = String::from_utf8(bytes).expect("text");
            assert!(text.contains(from));
            text.replace(from, to).into_bytes()
        });
        error.to_string()
    };
    let unlike = with(
        "\"cross_attention_dim\": 96",
        "\"cross_attention_dim\": [96, 80]",
    );
    assert!(unlike.contains("cross_attention_dim 80 beside"), "{unlike}");
    let levels = "\"block_out_channels\": [";
    let deep = with(levels, &format!("{levels}{}", "32, ".repeat(70)));
    assert!(deep.contains("1 to 8 levels"), "{deep}");
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_name() {
    let name = "mid_block.resnets.0.conv1.bias";
    let error = broken(UNET, |mut bytes| {
        let at = tensor_at(&bytes, name);
        // NaN in f16, the type of the demo model's files.
        bytes[at..at + 2].copy_from_slice(&0x7E00_u16.to_le_bytes());
        bytes
    });
    assert!(
        matches!(&error, LoadError::NotFinite { name: found, .. } if found == name),
        "{error}"
    );
}

#[test]
fn shards_and_a_single_file_make_the_same_pictures_as_a_folder() {
    let folder = tiny();
    let run = tiny_run(&folder, "a red fox");
    let expected = picture(&folder, &run);
    let (shards, config) = (fixtures().join("sharded_unet"), fixtures().join("pipeline"));
    let sharded = Pipeline::load(
        &config,
        LoadOptions {
            unet: Some(&shards),
            ..on_cpu()
        },
    );
    assert_eq!(picture(&sharded.expect("shards"), &run), expected);
    let options = LoadOptions {
        config: Some(&config),
        ..on_cpu()
    };
    let single = Pipeline::load(&fixtures().join("single_file.safetensors"), options);
    assert_eq!(picture(&single.expect("a single file"), &run), expected);
}

#[test]
fn shards_that_are_not_whole_are_refused() {
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(&fixtures().join("sharded_unet"), copy.path());
    let index = copy
        .path()
        .join("diffusion_pytorch_model.safetensors.index.json");
    let text = fs::read_to_string(&index).expect("an index");
    let with = |text: &str| {
        fs::write(&index, text).expect("written");
        let config = fixtures().join("pipeline");
        let options = LoadOptions {
            unet: Some(copy.path()),
            ..on_cpu()
        };
        Pipeline::load(&config, options)
            .expect_err("refused")
            .to_string()
    };
    let invented = with(&text.replace("\"conv_in.bias\"", "\"conv_in.bios\""));
    assert!(invented.contains("conv_in.bios"), "{invented}");
    let outside = with(&text.replace("\"diffusion_pytorch_model-00001", "\"../elsewhere-00001"));
    assert!(outside.contains("../elsewhere"), "{outside}");
    let gone = with(&text.replace("\"diffusion_pytorch_model-00001", "\"elsewhere-00001"));
    assert!(gone.contains("elsewhere-00001"), "{gone}");
}

#[test]
fn single_files_are_checked_like_folders() {
    let pickled = Path::new("model.ckpt");
    let error = load(pickled).expect_err("refused");
    assert!(error.to_string().contains("safetensors"), "{error}");
    let error = load(Path::new("nowhere.safetensors")).expect_err("refused");
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
    // Without its own configuration it is taken for SDXL's base model, which is larger.
    let error = load(&fixtures().join("single_file.safetensors")).expect_err("refused");
    assert!(matches!(error, LoadError::Shape { .. }), "{error}");
    // A LoRA is no model.
    let error = load(&fixtures().join("lora/kohya.safetensors")).expect_err("refused");
    assert!(matches!(error, LoadError::ExtraTensors { .. }), "{error}");
}

#[test]
fn a_lora_for_another_model_is_refused_by_its_layers() {
    let demo = load(&demo_model()).expect("the demo model");
    for file in ["peft", "kohya", "kohya_sgm"] {
        let path = fixtures().join("lora").join(format!("{file}.safetensors"));
        let error = demo.load_lora(&path).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains(&format!("{file}.safetensors")), "{text}");
        assert!(
            matches!(
                error,
                LoadError::ExtraTensors { .. } | LoadError::Shape { .. }
            ),
            "{text}"
        );
    }
    let error = demo
        .load_lora(&demo_model().join(UNET))
        .expect_err("refused");
    assert!(matches!(error, LoadError::Unsupported { .. }), "{error}");
}

#[test]
fn a_loras_header_can_say_its_scale() {
    let pipeline = tiny();
    let file = fixtures().join("lora/peft.safetensors");
    let bytes = fs::read(&file).expect("a LoRA");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let with = |settings: serde_json::Value| {
        let mut names: serde_json::Value =
            serde_json::from_slice(&bytes[8..8 + header]).expect("JSON");
        names["__metadata__"] =
            serde_json::json!({ "lora_adapter_metadata": settings.to_string() });
        let names = serde_json::to_vec(&names).expect("JSON");
        let mut copy = (names.len() as u64).to_le_bytes().to_vec();
        copy.extend(names);
        copy.extend(&bytes[8 + header..]);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lora.safetensors");
        fs::write(&path, copy).expect("written");
        pipeline.load_lora(&path).map(Arc::new)
    };
    let plain = Arc::new(pipeline.load_lora(&file).expect("a LoRA"));
    let run = |lora, weight| Run {
        loras: vec![(lora, weight)],
        ..tiny_run(&pipeline, "a red fox")
    };
    let all = |alpha: f64| {
        serde_json::json!({
            "unet.r": 4, "unet.lora_alpha": alpha,
            "text_encoder.r": 4, "text_encoder.lora_alpha": alpha,
            "text_encoder_2.r": 4, "text_encoder_2.lora_alpha": alpha,
        })
    };
    let twice = with(all(8.0)).expect("a LoRA");
    let by_weight = picture(&pipeline, &run(plain, 0.5));
    assert_eq!(picture(&pipeline, &run(twice, 0.25)), by_weight);
    let error = with(serde_json::json!({ "unet.use_dora": true })).expect_err("refused");
    assert!(error.to_string().contains("use_dora"), "{error}");
}

#[test]
fn the_load_says_how_far_it_is() {
    let seen = RefCell::new(Vec::new());
    let keep = |progress: LoadProgress| seen.borrow_mut().push(progress);
    let options = LoadOptions {
        progress: Some(&keep),
        precision: Precision::F16,
        ..on_cpu()
    };
    Pipeline::load(&demo_model(), options).expect("the demo model");
    let seen = seen.into_inner();
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done));
    let last = seen.last().expect("some progress");
    assert_eq!(last.done, last.total);
    assert!(last.total > 10_000_000, "{last:?}");
}
