//! Connections of which every call comes to an end. A server that goes without a word (a cable, a
//! firewall that forgot, a machine without power) answers nothing and refuses nothing: the system
//! would wait for a quarter of an hour, sqlx for ever.
//!
//! A connection of which a call was broken off is thrown away: what it would say next answers
//! another question. All others go back to their pool, which asks each whether it is well.

use std::future::ready;
use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use sqlx::any::{
    AnyConnectOptions, AnyPoolOptions, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo,
};
use sqlx::pool::PoolConnection;
use sqlx::{
    Any, AnyConnection, AnyPool, Connection as _, Describe, Either, Error, Execute, Executor,
    SqlStr,
};
use tokio::time::{Instant, timeout, timeout_at};

/// For one call. More than a server takes to give up by itself (`lock_timeout`,
/// `statement_timeout`), so that it is not the connection that pays for a lock.
const CALL: Duration = Duration::from_secs(15);
/// For one that asks nothing.
const PING: Duration = Duration::from_secs(3);

/// Connections to share. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Pool(AnyPool);

/// One of them, to whoever holds it.
#[derive(Debug)]
pub(super) struct Connection {
    /// Until it is dropped.
    pooled: Option<PoolConnection<Any>>,
    /// Whether a call has begun and not come to its end.
    is_asked: bool,
    /// Whether what was begun is neither committed nor rolled back.
    is_open: bool,
}

/// Statements of which all count, or none. Dropped, it is rolled back.
#[derive(Debug)]
pub(super) struct Transaction(Connection);

impl Pool {
    /// The pool, each connection of which is set up by `settings`.
    pub(super) async fn connect(
        options: AnyConnectOptions,
        most: u32,
        patience: Duration,
        settings: &'static str,
    ) -> Result<Self, Error> {
        AnyPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(patience)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(settings).execute(connection).await?;
                    Ok(())
                })
            })
            // Instead of sqlx's own test, which may take all the time that there is.
            .test_before_acquire(false)
            .before_acquire(|connection, _| {
                Box::pin(async { Ok(matches!(timeout(PING, connection.ping()).await, Ok(Ok(())))) })
            })
            .connect_with(options)
            .await
            .map(Self)
    }

    pub(super) async fn acquire(&self) -> Result<Connection, Error> {
        Ok(Connection {
            pooled: Some(self.0.acquire().await?),
            is_asked: false,
            is_open: false,
        })
    }

    /// Begins a transaction by a statement.
    pub(super) async fn begin(&self, statement: &'static str) -> Result<Transaction, Error> {
        let mut connection = self.acquire().await?;
        sqlx::raw_sql(statement).execute(&mut connection).await?;
        connection.is_open = true;
        Ok(Transaction(connection))
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}

/// Waits for a call no longer than there is time for one.
async fn in_time<T>(
    is_asked: &mut bool,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    *is_asked = true;
    let answer = timeout(CALL, call).await.map_err(|_| no_answer())?;
    *is_asked = false;
    answer
}

pub(super) fn no_answer() -> Error {
    let text = "the database does not answer";
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}

impl Connection {
    fn parts(&mut self) -> Result<(&mut AnyConnection, &mut bool), Error> {
        // It is there until it is dropped.
        let pooled = self.pooled.as_mut().ok_or(Error::PoolClosed)?;
        Ok((pooled, &mut self.is_asked))
    }

    /// What sqlx has, for what is not a call: to bring tables up to date, say.
    pub(super) fn bare(&mut self) -> Result<&mut AnyConnection, Error> {
        Ok(self.parts()?.0)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut pooled) = self.pooled.take() else {
            return;
        };
        if self.is_asked {
            drop(pooled.detach());
            return;
        }
        if !self.is_open {
            tokio::spawn(timeout(CALL, pooled.return_to_pool()));
            return;
        }
        tokio::spawn(async move {
            let rolled_back = sqlx::raw_sql("ROLLBACK").execute(&mut *pooled);
            // Where it cannot be rolled back it is no longer open, or the connection is broken.
            if matches!(timeout(CALL, rolled_back).await, Ok(Ok(_))) {
                drop(timeout(CALL, pooled.return_to_pool()).await);
            } else {
                drop(pooled.detach());
            }
        });
    }
}

impl Transaction {
    pub(super) async fn commit(self) -> Result<(), Error> {
        self.end("COMMIT").await
    }

    pub(super) async fn rollback(self) -> Result<(), Error> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, statement: &'static str) -> Result<(), Error> {
        sqlx::raw_sql(statement).execute(&mut *self).await?;
        self.is_open = false;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let until = Instant::now() + CALL;
        let (connection, is_asked) = match self.parts() {
            Ok(parts) => parts,
            Err(error) => return stream::once(ready(Err(error))).boxed(),
        };
        *is_asked = true;
        let asked = Some((connection.fetch_many(query), is_asked));
        stream::unfold(asked, move |asked| async move {
            let (mut answer, is_asked) = asked?;
            match timeout_at(until, answer.next()).await {
                Ok(Some(Ok(part))) => Some((Ok(part), Some((answer, is_asked)))),
                Ok(ended) => {
                    *is_asked = false;
                    ended.map(|error| (error, None))
                }
                Err(_) => Some((Err(no_answer()), None)),
            }
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        async move {
            let (connection, is_asked) = self.parts()?;
            in_time(is_asked, connection.fetch_optional(query)).await
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        async move {
            let (connection, is_asked) = self.parts()?;
            in_time(is_asked, connection.prepare_with(sql, parameters)).await
        }
        .boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'c: 'e,
    {
        async move {
            let (connection, is_asked) = self.parts()?;
            in_time(is_asked, connection.describe(sql)).await
        }
        .boxed()
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        // Who does not want all of it at once has a connection of their own.
        let all = async move {
            let mut connection = self.acquire().await?;
            let all: Vec<_> = connection.fetch_many(query).try_collect().await?;
            Ok::<_, Error>(stream::iter(all.into_iter().map(Ok)))
        };
        stream::once(all).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        async move { self.acquire().await?.fetch_optional(query).await }.boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.describe(sql).await }.boxed()
    }
}
