//! The names of Stability AI's own format (SGM), in which single-file checkpoints are published.
//!
//! A UNet there is a list of `input_blocks`, one `middle_block` and a list of `output_blocks`;
//! how they fall into levels follows from the number of layers of each level. Mapping as in
//! diffusers' `convert_ldm_unet_checkpoint` and its neighbours.

use super::checkpoint::Cut;

/// A place in a part: everything under the second name is called by the first in diffusers.
pub(crate) type Renamed = (String, String);

/// Resnets, transformers and resizings of a UNet whose levels have that many layers, diffusers'
/// names first. Resnets' insides have other names too: see [`RESNET`].
fn unet_blocks(layers: &[usize]) -> Vec<Renamed> {
    let mut names = Vec::new();
    let mut add = |diffusers: String, sgm: String| names.push((diffusers, sgm));
    let levels = layers.len();
    let mut block = 1;
    for (level, layers) in layers.iter().enumerate() {
        for layer in 0..*layers {
            add(
                format!("down_blocks.{level}.resnets.{layer}"),
                format!("input_blocks.{block}.0"),
            );
            add(
                format!("down_blocks.{level}.attentions.{layer}"),
                format!("input_blocks.{block}.1"),
            );
            block += 1;
        }
        if level + 1 < levels {
            add(
                format!("down_blocks.{level}.downsamplers.0.conv"),
                format!("input_blocks.{block}.0.op"),
            );
            block += 1;
        }
    }
    add("mid_block.resnets.0".into(), "middle_block.0".into());
    add("mid_block.attentions.0".into(), "middle_block.1".into());
    add("mid_block.resnets.1".into(), "middle_block.2".into());
    let mut block = 0;
    for (level, layers) in layers.iter().rev().enumerate() {
        for layer in 0..=*layers {
            add(
                format!("up_blocks.{level}.resnets.{layer}"),
                format!("output_blocks.{block}.0"),
            );
            add(
                format!("up_blocks.{level}.attentions.{layer}"),
                format!("output_blocks.{block}.1"),
            );
            // Behind the transformer, where there is one: no more than one of the two exists.
            if layer == *layers && level + 1 < levels {
                for place in [1, 2] {
                    add(
                        format!("up_blocks.{level}.upsamplers.0.conv"),
                        format!("output_blocks.{block}.{place}.conv"),
                    );
                }
            }
            block += 1;
        }
    }
    names
}

/// The inside of a UNet's resnets, diffusers' names first.
const RESNET: [(&str, &str); 6] = [
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
];

/// The rest of a UNet.
const UNET: [(&str, &str); 7] = [
    ("conv_in", "input_blocks.0.0"),
    ("time_embedding.linear_1", "time_embed.0"),
    ("time_embedding.linear_2", "time_embed.2"),
    ("add_embedding.linear_1", "label_emb.0.0"),
    ("add_embedding.linear_2", "label_emb.0.2"),
    ("conv_norm_out", "out.0"),
    ("conv_out", "out.2"),
];

/// Every layer of a UNet.
pub(crate) fn unet(layers: &[usize]) -> Vec<Renamed> {
    let mut names: Vec<Renamed> = UNET.iter().map(owned).collect();
    for (diffusers, sgm) in unet_blocks(layers) {
        if diffusers.contains(".resnets.") {
            names.extend(RESNET.iter().map(|(inner, theirs)| {
                (format!("{diffusers}.{inner}"), format!("{sgm}.{theirs}"))
            }));
        } else {
            names.push((diffusers, sgm));
        }
    }
    names
}

/// Every layer of a VAE with that many levels.
pub(super) fn vae(levels: usize, layers: usize) -> Vec<Renamed> {
    let mut names = Vec::new();
    for side in ["encoder", "decoder"] {
        for (diffusers, sgm) in [
            ("conv_in", "conv_in"),
            ("conv_norm_out", "norm_out"),
            ("conv_out", "conv_out"),
            ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
            ("mid_block.attentions.0.to_q", "mid.attn_1.q"),
            ("mid_block.attentions.0.to_k", "mid.attn_1.k"),
            ("mid_block.attentions.0.to_v", "mid.attn_1.v"),
            ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
        ] {
            names.push((format!("{side}.{diffusers}"), format!("{side}.{sgm}")));
        }
        let mut resnet = |diffusers: String, sgm: String| {
            for inner in ["norm1", "conv1", "norm2", "conv2"] {
                names.push((format!("{diffusers}.{inner}"), format!("{sgm}.{inner}")));
            }
            names.push((
                format!("{diffusers}.conv_shortcut"),
                format!("{sgm}.nin_shortcut"),
            ));
        };
        for i in 0..2 {
            resnet(
                format!("{side}.mid_block.resnets.{i}"),
                format!("{side}.mid.block_{}", i + 1),
            );
        }
        for level in 0..levels {
            // The decoder's levels are counted from the finest there, from the coarsest here.
            let (blocks, theirs, layers) = if side == "encoder" {
                ("down_blocks", format!("down.{level}"), layers)
            } else {
                (
                    "up_blocks",
                    format!("up.{}", levels - 1 - level),
                    layers + 1,
                )
            };
            for i in 0..layers {
                resnet(
                    format!("{side}.{blocks}.{level}.resnets.{i}"),
                    format!("{side}.{theirs}.block.{i}"),
                );
            }
        }
        for level in 0..levels {
            names.push(if side == "encoder" {
                (
                    format!("encoder.down_blocks.{level}.downsamplers.0.conv"),
                    format!("encoder.down.{level}.downsample.conv"),
                )
            } else {
                (
                    format!("decoder.up_blocks.{level}.upsamplers.0.conv"),
                    format!("decoder.up.{}.upsample.conv", levels - 1 - level),
                )
            });
        }
    }
    for both in ["quant_conv", "post_quant_conv"] {
        names.push(owned(&(both, both)));
    }
    names
}

/// A tensor of OpenCLIP's text encoder, in which SDXL's second one is published: its names in
/// transformers, each with the part of the tensor that it stands for.
pub(super) fn open_clip(name: &str) -> Vec<(String, Cut)> {
    let one = |name: &str| vec![(name.to_owned(), Cut::Whole)];
    match name {
        "token_embedding.weight" => return one("text_model.embeddings.token_embedding.weight"),
        "positional_embedding" => return one("text_model.embeddings.position_embedding.weight"),
        "text_projection" => return vec![("text_projection.weight".to_owned(), Cut::Transposed)],
        _ => {}
    }
    if let Some(rest) = name.strip_prefix("ln_final.") {
        return one(&format!("text_model.final_layer_norm.{rest}"));
    }
    let Some((layer, rest)) = name
        .strip_prefix("transformer.resblocks.")
        .and_then(|rest| rest.split_once('.'))
    else {
        return Vec::new();
    };
    let inside = |name: &str| format!("text_model.encoder.layers.{layer}.{name}");
    if let Some(kind) = rest.strip_prefix("attn.in_proj_") {
        let third =
            |(i, name): (usize, &str)| (inside(&format!("self_attn.{name}.{kind}")), Cut::Third(i));
        let names = ["q_proj", "k_proj", "v_proj"];
        return names.into_iter().enumerate().map(third).collect();
    }
    for (theirs, ours) in [
        ("ln_1.", "layer_norm1."),
        ("ln_2.", "layer_norm2."),
        ("attn.out_proj.", "self_attn.out_proj."),
        ("mlp.c_fc.", "mlp.fc1."),
        ("mlp.c_proj.", "mlp.fc2."),
    ] {
        if let Some(kind) = rest.strip_prefix(theirs) {
            return one(&inside(&format!("{ours}{kind}")));
        }
    }
    Vec::new()
}

fn owned((diffusers, sgm): &(&str, &str)) -> Renamed {
    ((*diffusers).to_owned(), (*sgm).to_owned())
}
