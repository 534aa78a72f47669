//! What is told to a job's `webhook_url`, as [Standard Webhooks](https://www.standardwebhooks.com)
//! has it, and what can be asked about it.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::job::{Job, Status};
use crate::timestamp::{UnixMillis, rfc3339};

/// What is posted to a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// When it happened: the same each time it is told.
    #[serde(with = "rfc3339")]
    pub timestamp: UnixMillis,
    /// The job.
    pub data: Job,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Kind {
    /// All of the job's images are stored.
    #[serde(rename = "job.succeeded")]
    Succeeded,
    /// It ended without its images.
    #[serde(rename = "job.failed")]
    Failed,
    /// It was stopped.
    #[serde(rename = "job.canceled")]
    Canceled,
}

impl Kind {
    /// What is told of a job that came to `status`; nothing before its end.
    #[must_use]
    pub const fn of(status: Status) -> Option<Self> {
        match status {
            Status::Queued | Status::Running => None,
            Status::Succeeded => Some(Self::Succeeded),
            Status::Failed => Some(Self::Failed),
            Status::Canceled => Some(Self::Canceled),
        }
    }
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// The name in answers and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Reads [`Self::as_str`].
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

names! {
    /// Where a delivery stands.
    State {
        /// It is to be tried, now or later.
        Pending = "pending",
        /// The receiver has taken it.
        Delivered = "delivered",
        /// It was tried as often as it is.
        Failed = "failed",
        /// The receiver had said before that it wants no more (410).
        Disabled = "disabled",
    }
}

names! {
    /// Why an attempt had no answer.
    AttemptError {
        /// The receiver is nowhere that the service may reach.
        NotAllowed = "address_not_allowed",
        /// Its name does not resolve, or nothing takes the connection.
        Unreachable = "unreachable",
        /// It took too long.
        TimedOut = "timed_out",
        /// The connection broke off.
        Interrupted = "interrupted",
    }
}

/// One event on its way to one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// What each attempt has as `webhook-id`.
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// To which job.
    pub job_id: String,
    /// The receiver.
    pub url: String,
    /// Where it stands.
    pub state: State,
    /// When it happened.
    #[serde(with = "rfc3339")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: UnixMillis,
    /// When it is tried next, if it is.
    #[serde(with = "rfc3339::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub next_attempt_at: Option<UnixMillis>,
    /// What came of it so far, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt {
    /// When it ended.
    #[serde(with = "rfc3339")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: UnixMillis,
    /// The HTTP status of the answer, where there was one.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<AttemptError>,
}

/// An account's signing secret, as its owner is shown it.
#[derive(Debug, Serialize)]
pub struct SigningSecret {
    /// `whsec_` and the key in base64.
    #[serde(serialize_with = "exposed")]
    pub secret: SecretString,
    /// Until when the secret before it signs as well, where there is one.
    #[serde(with = "rfc3339::option")]
    pub previous_until: Option<UnixMillis>,
}

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_themselves() {
        for state in [
            State::Pending,
            State::Delivered,
            State::Failed,
            State::Disabled,
        ] {
            assert_eq!(State::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::json!(state), state.as_str());
        }
        assert_eq!(AttemptError::parse("x"), None);
        assert_eq!(Kind::of(Status::Running), None);
        let kind = Kind::of(Status::Succeeded);
        assert_eq!(serde_json::json!(kind), "job.succeeded");
    }

    #[test]
    fn a_secret_is_shown_in_answers_alone() {
        let secret = SigningSecret {
            secret: "whsec_AAAA".to_owned().into(),
            previous_until: None,
        };
        assert!(!format!("{secret:?}").contains("AAAA"));
        assert_eq!(serde_json::json!(secret)["secret"], "whsec_AAAA");
    }
}
