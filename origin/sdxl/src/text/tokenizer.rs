//! CLIP's byte-pair tokenizer, with the very rules of transformers' `CLIPTokenizer`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokenizers::models::bpe::{BPE, BpeBuilder, Vocab};
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior};

use crate::LoadError;
use crate::weights::read_json;

/// Where one word ends and the next begins.
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// `tokenizer_config.json`.
#[derive(Deserialize)]
struct Config {
    bos_token: TokenName,
    eos_token: TokenName,
    pad_token: TokenName,
    unk_token: TokenName,
    #[serde(default = "default_length")]
    model_max_length: usize,
    #[serde(default)]
    added_tokens_decoder: BTreeMap<String, TokenInfo>,
}

const fn default_length() -> usize {
    77
}

const BOS: &str = "<|startoftext|>";
const EOS: &str = "<|endoftext|>";

impl Config {
    /// CLIP's own.
    fn clip(pad: &str) -> Self {
        let token = |text: &str| TokenName::Text(text.to_owned());
        let added = |text: &str, normalized| TokenInfo {
            content: text.to_owned(),
            normalized,
            ..TokenInfo::default()
        };
        Self {
            bos_token: token(BOS),
            eos_token: token(EOS),
            pad_token: token(pad),
            unk_token: token(EOS),
            model_max_length: default_length(),
            added_tokens_decoder: [added(pad, pad == EOS), added(BOS, true), added(EOS, true)]
                .into_iter()
                .map(|info| (info.content.clone(), info))
                .collect(),
        }
    }
}

/// A token by its text alone, or with its flags.
#[derive(Deserialize)]
#[serde(untagged)]
enum TokenName {
    Text(String),
    Info(TokenInfo),
}

impl TokenName {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Info(info) => &info.content,
        }
    }
}

#[derive(Default, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own fields")]
struct TokenInfo {
    content: String,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    normalized: bool,
}

/// A tokenizer that makes rows of one length.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos: u32,
    eos: u32,
    pad: u32,
    length: usize,
}

impl Tokenizer {
    /// Loads a tokenizer's folder: `tokenizer_config.json`, with `vocab.json` and `merges.txt` or
    /// with `tokenizer.json`.
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`] for broken files, [`LoadError::Read`] and
    /// [`LoadError::Config`] for its configuration.
    pub fn load(folder: &Path) -> Result<Self, LoadError> {
        Self::load_with_vocabulary(folder, folder)
    }

    /// The same with vocabulary and merges out of another folder.
    ///
    /// # Errors
    /// As [`Tokenizer::load`].
    pub fn load_with_vocabulary(folder: &Path, vocabulary: &Path) -> Result<Self, LoadError> {
        let config_path = folder.join("tokenizer_config.json");
        let config: Config = read_json(&config_path)?;
        let inner = if vocabulary.join("vocab.json").is_file() {
            from_vocabulary(vocabulary, config.unk_token.text())
        } else {
            from_tokenizer_json(&vocabulary.join("tokenizer.json"))
        };
        let inner = inner.map_err(|source| broken(vocabulary.to_owned(), source))?;
        Self::new(inner, &config, &config_path)
    }

    /// CLIP's own tokenizer, whole, which pads with `pad`.
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`] where `pad` is no token.
    pub(crate) fn clip(pad: &str) -> Result<Self, LoadError> {
        let path = Path::new("CLIP's tokenizer");
        let config = Config::clip(pad);
        let inner = clip_vocabulary().map_err(|source| broken(path.to_owned(), source))?;
        Self::new(inner, &config, path)
    }

    fn new(
        mut inner: tokenizers::Tokenizer,
        config: &Config,
        config_path: &Path,
    ) -> Result<Self, LoadError> {
        let config_path = config_path.to_owned();
        inner
            .add_special_tokens(special_tokens(config))
            .map_err(|source| broken(config_path.clone(), source))?;
        let id = |token: &TokenName| {
            inner.token_to_id(token.text()).ok_or_else(|| {
                broken(
                    config_path.clone(),
                    format!("`{}` is not in the vocabulary", token.text()),
                )
            })
        };
        let (bos, eos, pad) = (
            id(&config.bos_token)?,
            id(&config.eos_token)?,
            id(&config.pad_token)?,
        );
        if config.model_max_length < 3 {
            return Err(broken(config_path, "model_max_length is below 3"));
        }
        Ok(Self {
            inner,
            bos,
            eos,
            pad,
            length: config.model_max_length,
        })
    }

    /// Tokens of a row.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// One more than its largest id.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        let ids = self.inner.get_vocab(true).into_values();
        ids.max().map_or(0, |largest| largest as usize + 1)
    }

    /// Token ids of a text: start, words, end, then padding up to the model's length. Words
    /// that do not fit are dropped.
    ///
    /// # Errors
    /// What the tokenizer says, as text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        Ok(self.wrap(&self.words(text)?))
    }

    /// Token ids of a text's words alone, however many.
    ///
    /// # Errors
    /// What the tokenizer says, as text.
    pub fn words(&self, text: &str) -> Result<Vec<u32>, String> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|error| error.to_string())?;
        Ok(encoding.get_ids().to_vec())
    }

    /// A row of them: start, words as far as they fit, end, padding.
    #[must_use]
    pub fn wrap(&self, words: &[u32]) -> Vec<u32> {
        let mut ids = vec![self.bos];
        ids.extend(words.iter().take(self.length - 2));
        ids.push(self.eos);
        ids.resize(self.length, self.pad);
        ids
    }
}

fn broken(path: PathBuf, message: impl std::fmt::Display) -> LoadError {
    LoadError::Tokenizer {
        path,
        message: message.to_string(),
    }
}

/// `vocab.json` and `merges.txt`.
fn from_vocabulary(folder: &Path, unknown: &str) -> tokenizers::Result<tokenizers::Tokenizer> {
    let name = |file: &str| folder.join(file).to_string_lossy().into_owned();
    build(
        BPE::from_file(&name("vocab.json"), &name("merges.txt")),
        unknown,
    )
}

/// `tokenizer.json`, which may be set to pad and to cut by itself.
fn from_tokenizer_json(path: &Path) -> tokenizers::Result<tokenizers::Tokenizer> {
    let mut tokenizer = tokenizers::Tokenizer::from_file(path)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None)?;
    Ok(tokenizer)
}

/// CLIP's merges; its vocabulary follows from them.
fn clip_vocabulary() -> tokenizers::Result<tokenizers::Tokenizer> {
    let merges: Vec<(String, String)> = include_str!("../../assets/clip-merges.txt")
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(' '))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect();
    let bytes = byte_symbols();
    let ends = bytes.iter().map(|symbol| format!("{symbol}</w>"));
    let merged = merges.iter().map(|(a, b)| format!("{a}{b}"));
    let words = bytes.iter().cloned().chain(ends).chain(merged);
    let words = words.chain([BOS.to_owned(), EOS.to_owned()]);
    let vocabulary: Vocab = words.zip(0..).collect();
    build(BPE::builder().vocab_and_merges(vocabulary, merges), EOS)
}

/// The printable symbols that stand for the 256 bytes, in the order of CLIP's vocabulary.
fn byte_symbols() -> Vec<String> {
    let printable = |byte: &u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let others = (0..256).filter(|byte| !printable(byte));
    let stand_ins = others.zip(256..).map(|(_, symbol)| symbol);
    (0..256)
        .filter(printable)
        .chain(stand_ins)
        .filter_map(char::from_u32)
        .map(String::from)
        .collect()
}

fn build(bpe: BpeBuilder, unknown: &str) -> tokenizers::Result<tokenizers::Tokenizer> {
    let model = bpe
        .unk_token(unknown.to_owned())
        .end_of_word_suffix("</w>".to_owned())
        .build()?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let spaces = tokenizers::normalizers::replace::ReplacePattern::Regex(r"\s+".to_owned());
    tokenizer.with_normalizer(Some(Normalizers::new(vec![
        NFC.into(),
        Replace::new(spaces, " ")?.into(),
        Lowercase.into(),
    ])))?;
    let words = SplitPattern::Regex(WORDS.to_owned());
    let pre_tokenizers: Vec<PreTokenizerWrapper> = vec![
        Split::new(words, SplitDelimiterBehavior::Removed, true)?.into(),
        ByteLevel::default().add_prefix_space(false).into(),
    ];
    tokenizer.with_pre_tokenizer(Some(PreTokenizers::new(pre_tokenizers)));
    Ok(tokenizer)
}

/// Tokens that are recognised before the text is split, with their flags. SDXL's second
/// tokenizer pads with "!", which makes "!" such a token, wherever it stands in a prompt.
fn special_tokens(config: &Config) -> Vec<AddedToken> {
    let named = [
        &config.bos_token,
        &config.eos_token,
        &config.unk_token,
        &config.pad_token,
    ];
    let listed = |text: &str| {
        config
            .added_tokens_decoder
            .values()
            .any(|info| info.content == text)
    };
    let unlisted =
        named
            .into_iter()
            .filter(|token| !listed(token.text()))
            .map(|token| match token {
                TokenName::Text(text) => AddedToken::from(text.clone(), true),
                TokenName::Info(info) => added(info),
            });
    let listed_tokens = config.added_tokens_decoder.values().map(added);
    listed_tokens.chain(unlisted).collect()
}

fn added(info: &TokenInfo) -> AddedToken {
    AddedToken::from(info.content.clone(), true)
        .lstrip(info.lstrip)
        .rstrip(info.rstrip)
        .single_word(info.single_word)
        .normalized(info.normalized)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_tokenizers_are_those_that_sdxl_is_published_with() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let vocabulary = fixtures.join("tokenizer_full");
        for (pad, folder) in [(EOS, "tokenizer_full"), ("!", "tokenizer_full_2")] {
            let built_in = Tokenizer::clip(pad).expect("built in");
            let published = Tokenizer::load_with_vocabulary(&fixtures.join(folder), &vocabulary);
            let published = published.expect("published");
            for text in [
                "",
                "a photo of an astronaut!!",
                "naïve 日本語 🦊",
                "<|endoftext|> x",
            ] {
                assert_eq!(built_in.encode(text), published.encode(text), "{text}");
            }
        }
    }
}
