//! What LoRA files call their tensors.

use std::collections::HashMap;

use crate::weights::unet_names;

/// What a tensor of the file is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Down,
    Up,
    Alpha,
}

/// Whose layer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Network {
    Unet,
    /// The first text encoder.
    TextEncoder,
    /// The second.
    TextEncoder2,
}

/// Endings as peft, kohya's scripts and diffusers write them.
const ENDINGS: [(&str, Role); 12] = [
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    (".lora_A.default.weight", Role::Down),
    (".lora_B.default.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    (".alpha", Role::Alpha),
    (".lora_alpha", Role::Alpha),
];

/// Splits a name into the layer's and the tensor's part; `None` for what is no plain LoRA.
pub(super) fn split(name: &str) -> Option<(String, Role)> {
    // diffusers before 0.20 hung them on attention processors.
    for (direction, role) in [("down", Role::Down), ("up", Role::Up)] {
        let ending = format!("_lora.{direction}.weight");
        if let Some(layer) = name.strip_suffix(&ending) {
            let layer = layer.replace(".processor.", ".");
            let layer = layer
                .strip_suffix("to_out")
                .map(|l| format!("{l}to_out.0"))
                .unwrap_or(layer);
            return Some((layer, role));
        }
    }
    ENDINGS
        .iter()
        .find_map(|(ending, role)| Some((name.strip_suffix(ending)?.to_owned(), *role)))
}

/// Splits a layer's name into the network's and its own.
pub(super) fn network(layer: &str) -> (Network, &str) {
    for (prefix, network) in [
        ("unet.", Network::Unet),
        ("lora_unet_", Network::Unet),
        ("text_encoder_2.", Network::TextEncoder2),
        ("lora_te2_", Network::TextEncoder2),
        ("text_encoder.", Network::TextEncoder),
        ("lora_te1_", Network::TextEncoder),
        ("lora_te_", Network::TextEncoder),
    ] {
        if let Some(rest) = layer.strip_prefix(prefix) {
            return (network, rest);
        }
    }
    (Network::Unet, layer)
}

/// Every name under which a file may speak of a network's layers, with diffusers' name for each.
pub(super) fn aliases<'a>(
    network: Network,
    layers: impl Iterator<Item = &'a str>,
    unet_layers: &[usize],
) -> HashMap<String, &'a str> {
    let sgm = match network {
        Network::Unet => unet_names(unet_layers),
        Network::TextEncoder | Network::TextEncoder2 => Vec::new(),
    };
    let mut aliases = HashMap::new();
    for layer in layers {
        let mut add = |name: String| {
            // kohya's scripts write `_` for `.`.
            aliases.insert(name.replace('.', "_"), layer);
            aliases.insert(name, layer);
        };
        add(layer.to_owned());
        if network != Network::Unet {
            // With or without what transformers 5 no longer writes.
            match layer.strip_prefix("text_model.") {
                Some(rest) => add(rest.to_owned()),
                None => add(format!("text_model.{layer}")),
            }
        }
        for (diffusers, theirs) in &sgm {
            if let Some(rest) = layer.strip_prefix(diffusers.as_str())
                && (rest.is_empty() || rest.starts_with('.'))
            {
                add(format!("{theirs}{rest}"));
            }
        }
    }
    aliases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_convention_are_split() {
        for (name, layer, role) in [
            ("unet.mid.to_q.lora_A.weight", "unet.mid.to_q", Role::Down),
            (
                "lora_unet_mid_to_q.lora_up.weight",
                "lora_unet_mid_to_q",
                Role::Up,
            ),
            (
                "lora_unet_mid_to_q.alpha",
                "lora_unet_mid_to_q",
                Role::Alpha,
            ),
            (
                "unet.mid.to_k.lora.down.weight",
                "unet.mid.to_k",
                Role::Down,
            ),
            (
                "unet.attn1.processor.to_out_lora.up.weight",
                "unet.attn1.to_out.0",
                Role::Up,
            ),
        ] {
            assert_eq!(split(name), Some((layer.to_owned(), role)), "{name}");
        }
        assert_eq!(split("unet.mid.to_q.hada_w1_a"), None);
        assert_eq!(network("lora_te2_x"), (Network::TextEncoder2, "x"));
        assert_eq!(network("down_blocks.0"), (Network::Unet, "down_blocks.0"));
    }

    #[test]
    fn a_layer_is_found_under_diffusers_and_sgms_names() {
        let layer = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q";
        let resnet = "up_blocks.0.resnets.1.conv1";
        let aliases = aliases(Network::Unet, [layer, resnet].into_iter(), &[2, 2, 2]);
        for name in [
            "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
            "input_blocks_4_1_transformer_blocks_0_attn1_to_q",
            "input_blocks.4.1.transformer_blocks.0.attn1.to_q",
        ] {
            assert_eq!(aliases.get(name), Some(&layer), "{name}");
        }
        assert_eq!(aliases.get("output_blocks_1_0_in_layers_2"), Some(&resnet));
    }
}
