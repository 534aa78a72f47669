//! What of a recipe goes into a signed manifest (C2PA).

use darkroom_credentials::{Claim, SignError, Signer, SignerError};
use darkroom_shared::recipe::Recipe;

use crate::config::settings;
use crate::encode::{FILES_WITHOUT_RECIPE, is_signed, unsigned};

/// Characters of a title: what a viewer shows in a line or two.
const TITLE: usize = 100;

/// Why a file was not signed that should be.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The recipe is of a service that signs, and this one does not.
    #[error("the recipe's files are signed, and {} is not set here", settings::C2PA_CERTIFICATE.name)]
    NoSigner,
    /// The signer's certificate is not good any more.
    #[error(transparent)]
    Certificate(#[from] SignerError),
    /// The signer cannot.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Who signs a recipe's files; nobody where its engine says nothing of signatures.
///
/// # Errors
/// [`CredentialsError`]: they cannot be signed here, now.
pub fn signer_of<'a>(
    recipe: &Recipe,
    signer: Option<&'a Signer>,
) -> Result<Option<&'a Signer>, CredentialsError> {
    if !is_signed(&recipe.engine) {
        return Ok(None);
    }
    let signer = signer.ok_or(CredentialsError::NoSigner)?;
    signer.check()?;
    Ok(Some(signer))
}

/// A recipe's file as it is to be stored: signed where the recipe's engine says so. Its title is the
/// prompt's beginning, where files tell their recipes.
///
/// # Errors
/// [`CredentialsError`].
pub fn sign(
    file: Vec<u8>,
    recipe: &Recipe,
    signer: Option<&Signer>,
) -> Result<Vec<u8>, CredentialsError> {
    let Some(signer) = signer_of(recipe, signer)? else {
        return Ok(file);
    };
    let tells_recipe = !unsigned(&recipe.engine).ends_with(FILES_WITHOUT_RECIPE);
    let title = tells_recipe.then(|| recipe.prompt.chars().take(TITLE).collect::<String>());
    let claim = Claim {
        title: title.as_deref(),
        begins_with_picture: recipe.init_image.is_some(),
    };
    Ok(signer.sign(&file, recipe.format.content_type(), &claim)?)
}
