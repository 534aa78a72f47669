//! CLIP's byte-pair tokenizer, with the very rules of transformers' `CLIPTokenizer`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokenizers::models::bpe::BPE;
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

#[derive(Deserialize)]
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
    /// Loads a tokenizer's folder: `vocab.json`, `merges.txt`, `tokenizer_config.json`.
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
        let mut inner = build(vocabulary, config.unk_token.text())
            .map_err(|source| broken(vocabulary.to_owned(), source))?;
        inner
            .add_special_tokens(special_tokens(&config))
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
        if config.model_max_length < 2 {
            return Err(broken(config_path, "model_max_length is below 2"));
        }
        Ok(Self {
            inner,
            bos,
            eos,
            pad,
            length: config.model_max_length,
        })
    }

    /// Token ids of a text: start, words, end, then padding up to the model's length. Words
    /// that do not fit are dropped.
    ///
    /// # Errors
    /// What the tokenizer says, as text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|error| error.to_string())?;
        let mut ids = vec![self.bos];
        ids.extend(encoding.get_ids().iter().take(self.length - 2));
        ids.push(self.eos);
        ids.resize(self.length, self.pad);
        Ok(ids)
    }
}

fn broken(path: PathBuf, message: impl std::fmt::Display) -> LoadError {
    LoadError::Tokenizer {
        path,
        message: message.to_string(),
    }
}

fn build(folder: &Path, unknown: &str) -> tokenizers::Result<tokenizers::Tokenizer> {
    let name = |file: &str| folder.join(file).to_string_lossy().into_owned();
    let model = BPE::from_file(&name("vocab.json"), &name("merges.txt"))
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
