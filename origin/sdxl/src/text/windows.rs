//! Prompts as rows of tokens, each as long as the encoders' window.

use super::syntax::{Piece, PromptSyntax, parse};
use super::tokenizer::Tokenizer;

/// One window of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    /// As many as the window is long: start, words, end, padding.
    pub ids: Vec<u32>,
    /// How much each of them counts; `None` where all count alike.
    pub weights: Option<Vec<f32>>,
}

/// A prompt's windows, at least one.
///
/// # Errors
/// What the tokenizer says.
pub(super) fn windows(
    tokenizer: &Tokenizer,
    text: &str,
    syntax: PromptSyntax,
) -> Result<Vec<Window>, String> {
    let pieces = match syntax {
        PromptSyntax::Truncated => return Ok(vec![plain(tokenizer.encode(text)?)]),
        PromptSyntax::Plain => vec![Piece::Words(text.to_owned(), 1.0)],
        PromptSyntax::Weighted => parse(text),
    };
    let room = tokenizer.length() - 2;
    let mut windows: Vec<Vec<(u32, f32)>> = vec![Vec::new()];
    for piece in pieces {
        match piece {
            Piece::Break => windows.push(Vec::new()),
            Piece::Words(words, weight) => {
                for id in tokenizer.words(&words)? {
                    if windows.last().is_none_or(|window| window.len() == room) {
                        windows.push(Vec::new());
                    }
                    windows
                        .last_mut()
                        .into_iter()
                        .for_each(|window| window.push((id, weight)));
                }
            }
        }
    }
    Ok(windows
        .iter()
        .map(|words| window(tokenizer, words))
        .collect())
}

/// A window with nothing in it.
pub(super) fn empty(tokenizer: &Tokenizer) -> Window {
    window(tokenizer, &[])
}

fn plain(ids: Vec<u32>) -> Window {
    Window { ids, weights: None }
}

fn window(tokenizer: &Tokenizer, words: &[(u32, f32)]) -> Window {
    let ids: Vec<u32> = words.iter().map(|(id, _)| *id).collect();
    let mut window = plain(tokenizer.wrap(&ids));
    if words
        .iter()
        .any(|(_, weight)| (weight - 1.0).abs() > f32::EPSILON)
    {
        let mut weights = vec![1.0; window.ids.len()];
        for (weight, (_, given)) in weights[1..].iter_mut().zip(words) {
            *weight = *given;
        }
        window.weights = Some(weights);
    }
    window
}
