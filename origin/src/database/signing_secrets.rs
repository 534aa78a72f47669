//! What each account's webhooks are signed with.

use std::time::Duration;

use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::webhook::SigningSecret;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Database, DatabaseError};
use crate::cause::chain;
use crate::webhooks::{SealingKeys, fresh_secret};

/// How long a secret goes on signing beside the one that took its place.
const GRACE: Duration = Duration::from_hours(24);

impl Database {
    /// The same database, whose signing secrets are sealed with `keys`.
    #[must_use]
    pub fn sealing_with(mut self, keys: SealingKeys) -> Self {
        self.sealing = keys;
        self
    }

    /// Seals the signing secrets anew that are not sealed with the first key; how many those were.
    /// Those that open with no key stay as they are, and are logged.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn seal_signing_secrets(&self) -> Result<usize, DatabaseError> {
        let rows: Vec<(String, String, Option<String>)> =
            sqlx::query_as("SELECT account, secret, previous FROM webhook_secrets")
                .fetch_all(&self.readers)
                .await?;
        let is_current = |stored: &String| self.sealing.is_current(stored);
        let mut sealed = 0;
        for (account, secret, previous) in rows {
            if is_current(&secret) && previous.as_ref().is_none_or(is_current) {
                continue;
            }
            let anew = |stored: &String| -> Result<String, DatabaseError> {
                let secret = self.sealing.open(&account, stored)?;
                Ok(self.sealing.seal(&account, secret.expose_secret())?)
            };
            let both = anew(&secret).and_then(|secret| {
                let previous = previous.as_ref().map(anew).transpose()?;
                Ok((secret, previous))
            });
            let (anew, previous) = match both {
                Ok(both) => both,
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(account, error, "a signing secret stays as it is");
                    continue;
                }
            };
            let mut transaction = self.write().await?;
            // Unless it was rotated meanwhile, which seals it.
            sqlx::query(
                "UPDATE webhook_secrets SET secret = $1, previous = $2
                 WHERE account = $3 AND secret = $4",
            )
            .bind(anew)
            .bind(previous)
            .bind(&account)
            .bind(&secret)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            sealed += 1;
        }
        Ok(sealed)
    }

    /// An account's secret, made where there is none yet.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn signing_secret(
        &self,
        account: &str,
        now: UnixMillis,
    ) -> Result<SigningSecret, DatabaseError> {
        let (secret, previous) = self.secret_of(account).await?;
        Ok(shown(secret, previous.map(|(_, until)| until), now))
    }

    /// Gives an account a new secret. The one before signs as well for a day.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn rotate_signing_secret(
        &self,
        account: &str,
        now: UnixMillis,
    ) -> Result<SigningSecret, DatabaseError> {
        let fresh = fresh_secret()?;
        let mut transaction = self.write().await?;
        let until: Option<UnixMillis> = sqlx::query_scalar(
            "INSERT INTO webhook_secrets (account, secret) VALUES ($1, $2)
             ON CONFLICT (account) DO UPDATE
             SET previous = webhook_secrets.secret, previous_until = $3, secret = excluded.secret
             RETURNING previous_until",
        )
        .bind(account)
        .bind(self.sealing.seal(account, fresh.expose_secret())?)
        .bind(now + GRACE.as_millis() as i64)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(shown(fresh, until, now))
    }

    /// All secrets that an account's events are signed with now, the newest first.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn signing_secrets(
        &self,
        account: &str,
        now: UnixMillis,
    ) -> Result<Vec<SecretString>, DatabaseError> {
        let (secret, previous) = self.secret_of(account).await?;
        let previous = previous.filter(|(_, until)| *until > now);
        let previous = previous.map(|(secret, _)| secret);
        Ok([secret].into_iter().chain(previous).collect())
    }

    async fn secret_of(&self, account: &str) -> Result<Stored, DatabaseError> {
        if let Some(stored) = self.stored_secret(account).await? {
            return Ok(stored);
        }
        let fresh = fresh_secret()?;
        let mut transaction = self.write().await?;
        // Another may have made one in the same moment: the first counts.
        sqlx::query(
            "INSERT INTO webhook_secrets (account, secret) VALUES ($1, $2)
             ON CONFLICT (account) DO NOTHING",
        )
        .bind(account)
        .bind(self.sealing.seal(account, fresh.expose_secret())?)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let stored = self.stored_secret(account).await?;
        Ok(stored.unwrap_or((fresh, None)))
    }

    async fn stored_secret(&self, account: &str) -> Result<Option<Stored>, DatabaseError> {
        let row: Option<(String, Option<String>, Option<UnixMillis>)> = sqlx::query_as(
            "SELECT secret, previous, previous_until FROM webhook_secrets WHERE account = $1",
        )
        .bind(account)
        .fetch_optional(&self.readers)
        .await?;
        let Some((secret, previous, until)) = row else {
            return Ok(None);
        };
        let open = |stored: &String| self.sealing.open(account, stored);
        let previous = previous.as_ref().map(open).transpose()?;
        Ok(Some((open(&secret)?, previous.zip(until))))
    }
}

/// The secret, and the one before it with its end.
type Stored = (SecretString, Option<(SecretString, UnixMillis)>);

fn shown(secret: SecretString, until: Option<UnixMillis>, now: UnixMillis) -> SigningSecret {
    SigningSecret {
        secret,
        previous_until: until.filter(|until| *until > now),
    }
}
