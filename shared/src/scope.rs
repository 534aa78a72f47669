//! What a caller may do.

use serde::{Deserialize, Serialize};

/// One thing that a key or a token allows. None includes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Scope {
    /// Make pictures, follow and cancel their jobs.
    #[serde(rename = "generate")]
    Generate,
    /// See the account's jobs and images.
    #[serde(rename = "read")]
    Read,
    /// Write posts.
    #[serde(rename = "posts:write")]
    PostsWrite,
    /// Create, list, rotate and revoke keys.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: &[Self] = &[Self::Generate, Self::Read, Self::PostsWrite, Self::Admin];

    /// The name that goes over the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Read => "read",
            Self::PostsWrite => "posts:write",
            Self::Admin => "admin",
        }
    }

    /// Reads [`Scope::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|scope| scope.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_one_name() {
        for scope in Scope::ALL {
            let json = serde_json::to_value(scope).expect("JSON");
            assert_eq!(json, scope.as_str());
            assert_eq!(Scope::parse(scope.as_str()), Some(*scope));
        }
        assert_eq!(Scope::parse("Admin"), None);
    }
}
