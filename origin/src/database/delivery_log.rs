//! What was told to an account's webhooks, and what came of it.

use std::collections::BTreeMap;

use darkroom_shared::job::{Page, Status};
use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::webhook::{Attempt, AttemptError, Delivery, Kind, State};
use sqlx::AssertSqlSafe;

use super::rows::{cut, places, unreadable};
use super::{Database, DatabaseError};

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    id: String,
    job_id: String,
    url: String,
    status: String,
    state: String,
    created_at: UnixMillis,
    due_at: UnixMillis,
}

#[derive(sqlx::FromRow)]
struct AttemptRow {
    delivery_id: String,
    at: UnixMillis,
    status: Option<i64>,
    error: Option<String>,
}

impl Database {
    /// A page of an account's deliveries, newest first, from behind the delivery `after`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn deliveries(
        &self,
        account: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Delivery>, DatabaseError> {
        let mut rows: Vec<DeliveryRow> = sqlx::query_as(
            "SELECT id, job_id, url, status, state, created_at, due_at FROM webhook_deliveries
             WHERE account = $1
               AND ($2 IS NULL OR sequence <
                    (SELECT sequence FROM webhook_deliveries WHERE id = $2 AND account = $1))
             ORDER BY sequence DESC LIMIT $3",
        )
        .bind(account)
        .bind(after)
        // One more than asked for tells whether there is a next page.
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.readers)
        .await?;
        let next_cursor = cut(&mut rows, limit).map(|row| row.id.clone());
        let mut attempts = self.attempts(&rows).await?;
        let items = rows.into_iter().map(|row| {
            let attempts = attempts.remove(&row.id).unwrap_or_default();
            row.into_delivery(attempts)
        });
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next_cursor,
        })
    }

    async fn attempts(
        &self,
        deliveries: &[DeliveryRow],
    ) -> Result<BTreeMap<String, Vec<Attempt>>, DatabaseError> {
        let mut attempts = BTreeMap::<_, Vec<_>>::new();
        if deliveries.is_empty() {
            return Ok(attempts);
        }
        let statement = format!(
            "SELECT delivery_id, at, status, error FROM webhook_attempts
             WHERE delivery_id IN ({}) ORDER BY delivery_id, number",
            places(deliveries.len())
        );
        let mut query = sqlx::query_as(AssertSqlSafe(statement));
        for delivery in deliveries {
            query = query.bind(delivery.id.clone());
        }
        let rows: Vec<AttemptRow> = query.fetch_all(&self.readers).await?;
        for row in rows {
            attempts.entry(row.delivery_id).or_default().push(Attempt {
                at: row.at,
                status: row.status.map(|status| status as u16),
                error: row.error.as_deref().and_then(AttemptError::parse),
            });
        }
        Ok(attempts)
    }
}

impl DeliveryRow {
    fn into_delivery(self, attempts: Vec<Attempt>) -> Result<Delivery, DatabaseError> {
        let kind = Status::parse(&self.status).and_then(Kind::of);
        let state = State::parse(&self.state).ok_or_else(|| unreadable("delivery's state"))?;
        Ok(Delivery {
            id: self.id,
            kind: kind.ok_or_else(|| unreadable("delivery's kind"))?,
            job_id: self.job_id,
            url: self.url,
            state,
            created_at: self.created_at,
            // One that was never tried is due from its beginning.
            next_attempt_at: (state == State::Pending).then(|| self.due_at.max(self.created_at)),
            attempts,
        })
    }
}
