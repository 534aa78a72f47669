//! How an account's jobs stand beside others'.

use serde::{Deserialize, Serialize};

/// How much of the machines a job's account gets for it, beside others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// A quarter of the usual.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Four times the usual.
    High,
}

impl Priority {
    /// Every priority.
    pub const ALL: &[Self] = &[Self::Low, Self::Normal, Self::High];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The priority of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|priority| priority.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_read_by_the_name_that_it_is_written_with() {
        for priority in Priority::ALL {
            assert_eq!(Priority::parse(priority.as_str()), Some(*priority));
            let json = serde_json::to_value(priority).expect("JSON");
            assert_eq!(json, priority.as_str());
        }
        assert_eq!(Priority::parse("urgent"), None);
    }
}
