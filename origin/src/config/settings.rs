//! Every setting, declared once.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// The key in the configuration file.
    pub key: &'static str,
    /// The command-line flag; `None` for secrets, which other users could read there.
    pub flag: Option<&'static str>,
    /// What holds where nothing is said; empty where nothing does.
    pub default: &'static str,
    /// What it is for, in one sentence of Markdown.
    pub doc: &'static str,
}

macro_rules! settings {
    ($($constant:ident = $name:literal, $key:literal, $flag:expr, $default:expr, $doc:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: Setting = Setting {
                name: $name,
                key: $key,
                flag: $flag,
                default: $default,
                doc: $doc,
            };
        )*

        /// Every setting there is, in the order of the documentation.
        pub const ALL: &[Setting] = &[$($constant),*];
    };
}

settings! {
    LISTEN = "DARKROOM_LISTEN", "listen", Some("listen"), "127.0.0.1:8788",
        "Address and port to listen on; port 0 takes a free one.";
    ADMIN_LISTEN = "DARKROOM_ADMIN_LISTEN", "admin_listen", Some("admin-listen"), "`127.0.0.1`, the port 1000 above the other's",
        "Address and port for the operator: `/metrics`, `/openapi.json`, `/docs`. Whoever reaches it may read it. `off` opens none.";
    CONNECTIONS = "DARKROOM_CONNECTIONS", "connections", Some("connections"), "4096",
        "Connections that may be open to the service at once; more wait to be let in. Each call that waits and each reader of events is one, and each takes one of the files that the system lets a process open (`ulimit -n`).";
    PUBLIC_URL = "DARKROOM_PUBLIC_URL", "public_url", Some("public-url"), "http://127.0.0.1:8787",
        "The edge's address: what the pictures' URLs begin with where no CloudFront is set.";
    ORIGIN_SECRETS = "DARKROOM_ORIGIN_SECRETS", "origin_secrets", None, "",
        "**Required.** Secrets shared with the edge, `id:secret[,id:secret]`, at least 32 characters each; two may be live at once, so that they rotate.";
    DATA_DIR = "DARKROOM_DATA_DIR", "data_dir", Some("data-dir"), "./data",
        "Folder for the database, for pictures on their way to the store, and for the pictures themselves where no bucket is set.";
    MODEL = "DARKROOM_MODEL", "model", Some("model"), "origin/demo-model",
        "Folder of an SDXL model in diffusers layout.";
    DEVICE = "DARKROOM_DEVICE", "device", Some("device"), "auto",
        "What computes: `auto`, `cpu` or `gpu`.";
    EMBED_RECIPE = "DARKROOM_EMBED_RECIPE", "embed_recipe", Some("embed-recipe"), "yes",
        "Whether pictures hold their recipes, and with them their prompts: `yes` or `no`. That a model made them they say either way. The same on all origins that share a database.";
    C2PA_CERTIFICATE = "DARKROOM_C2PA_CERTIFICATE", "c2pa_certificate", Some("c2pa-certificate"), "",
        "PEM file of the certificate that pictures are signed with (C2PA content credentials), and of those behind it up to the anchor's; without one they are not signed. The same on all origins that share a database, none of which may be of a version that does not know it.";
    C2PA_PRIVATE_KEY = "DARKROOM_C2PA_PRIVATE_KEY", "c2pa_private_key", Some("c2pa-private-key"), "",
        "PEM file (PKCS #8) of the certificate's key: of P-256, P-384, P-521, Ed25519 or RSA.";
    QUEUE_LIMIT = "DARKROOM_QUEUE_LIMIT", "queue_limit", Some("queue-limit"), "100",
        "Jobs that may wait for the engine; one more is answered 429.";
    ACCOUNT_QUEUE_SHARE = "DARKROOM_ACCOUNT_QUEUE_SHARE", "account_queue_share", Some("account-queue-share"), "50",
        "Percent of the queue's limit that one account's jobs may take up; one more is answered 429, while others' are taken. 100 leaves it all to whoever comes first.";
    ACCOUNT_CONCURRENCY = "DARKROOM_ACCOUNT_CONCURRENCY", "account_concurrency", Some("account-concurrency"), "0",
        "Jobs that may be made for one account at the same time, over all origins of a database; 0 is no limit.";
    CHECKPOINT_SECONDS = "DARKROOM_CHECKPOINT_SECONDS", "checkpoint_seconds", Some("checkpoint-seconds"), "10",
        "Seconds of work on a picture that a machine which dies may take with it: as often its run is saved in the database (about 300 kB to 1 MB for 1024 × 1024, once for each job), or more rarely where reading its state takes long. A service that ends in order saves what it leaves in any case; 0 saves nothing else.";
    DATABASE_URL = "DATABASE_URL", "database_url", None, "`darkroom.db` in the data folder",
        "`sqlite://PATH`, for one origin, or `postgres://USER:PASSWORD@HOST/DATABASE`, which many may share; `?sslmode=verify-full` insists on a server that proves who it is.";
    BUCKET = "AWS_S3_BUCKET", "aws_s3_bucket", Some("aws-s3-bucket"), "",
        "Bucket to store pictures in; without one they stay in the data folder. Credentials come from AWS's default chain, at first use; they need `s3:PutObject`, `s3:GetObject`, `s3:DeleteObject`, `s3:AbortMultipartUpload`, `s3:ListBucketMultipartUploads` and `s3:ListBucket` (without it S3 answers 403, not 404, for what is not there).";
    REGION = "AWS_S3_REGION", "aws_s3_region", Some("aws-s3-region"), "",
        "The bucket's region; required with a bucket of AWS, `us-east-1` unless told with an endpoint.";
    ENDPOINT = "AWS_S3_ENDPOINT", "aws_s3_endpoint", Some("aws-s3-endpoint"), "",
        "Address of another S3-compatible server; buckets are then named in the path.";
    S3_SSE = "DARKROOM_S3_SSE", "s3_sse", Some("s3-sse"), "none",
        "How the bucket is told to encrypt pictures: `AES256` (S3's keys), `aws:kms`, or `none`, which leaves it to the bucket's default.";
    S3_SSE_KMS_KEY = "DARKROOM_S3_SSE_KMS_KEY", "s3_sse_kms_key", Some("s3-sse-kms-key"), "",
        "Id or ARN of the KMS key for `aws:kms`; AWS's own key for S3 unless told. The credentials then need `kms:GenerateDataKey` and `kms:Decrypt`.";
    RETENTION_DAYS = "DARKROOM_RETENTION_DAYS", "retention_days", Some("retention-days"), "0",
        "Days that a picture is kept, as if its owner deleted it then; 0 keeps it for good. Objects in a bucket are tagged `darkroom-retention=30d` and `darkroom-visibility=…` then, which needs `s3:PutObjectTagging`.";
    RESTORE_DAYS = "DARKROOM_RESTORE_DAYS", "restore_days", Some("restore-days"), "7",
        "Days within which its account can restore a deleted image: its object lies under `deleted/` meanwhile, where nobody is served. 0 removes objects at once. What `DARKROOM_RETENTION_DAYS` deletes is removed at once in any case.";
    HISTORY_DAYS = "DARKROOM_HISTORY_DAYS", "history_days", Some("history-days"), "30",
        "Days after a job's end that its events and the log of its webhooks are kept; its end, its recipe and its pictures stay. 0 keeps all of it for good.";
    VARIANT_WIDTHS = "DARKROOM_VARIANT_WIDTHS", "variant_widths", Some("variant-widths"), "256,512",
        "Widths in pixels of the smaller copies that are made of each picture once it is stored, of those that are smaller than it; `none` makes none.";
    VARIANT_FORMATS = "DARKROOM_VARIANT_FORMATS", "variant_formats", Some("variant-formats"), "webp",
        "Formats of the smaller copies: `webp`, `avif`, or `webp,avif` for each copy as both. AVIF takes a core some seconds for each copy.";
    CLOUDFRONT = "AWS_CLOUDFRONT_DOMAIN", "aws_cloudfront_domain", Some("aws-cloudfront-domain"), "",
        "CloudFront's domain: the pictures' URLs become `https://DOMAIN/KEY`.";
    CLOUDFRONT_DISTRIBUTION = "AWS_CLOUDFRONT_DISTRIBUTION_ID", "aws_cloudfront_distribution_id", Some("aws-cloudfront-distribution-id"), "",
        "Id of the distribution that is told to forget deleted pictures; without it CloudFront goes on having them, for up to a year. Each file is one path of an invalidation: AWS charges for those beyond a thousand a month. The credentials need `cloudfront:CreateInvalidation`. The same on all origins that share a database.";
    CLOUDFRONT_ENDPOINT = "AWS_CLOUDFRONT_ENDPOINT", "aws_cloudfront_endpoint", Some("aws-cloudfront-endpoint"), "",
        "Address of another server that is told as CloudFront is.";
    ALLOWED_NETWORKS = "DARKROOM_ALLOWED_NETWORKS", "allowed_networks", Some("allowed-networks"), "",
        "Networks that webhooks and pictures' addresses may lead to although they are not public, without TLS too: `10.0.0.0/8,127.0.0.1`, say. Give the edge the same as `ALLOWED_NETWORKS`.";
    WEBHOOK_KEYS = "DARKROOM_WEBHOOK_KEYS", "webhook_keys", None, "",
        "Keys that webhooks' signing secrets are encrypted with in the database (AES-256-GCM), `id:key[,id:key]`, each key 64 hexadecimal digits: the first encrypts, all decrypt, so that they rotate. A service that starts encrypts anew what the first key has not. Without one the secrets are there as they are. The same on all origins that share a database: a new key goes to all of them as the second before it is the first of any; with the very first, webhooks wait at those that do not have it yet.";
    OUTBOUND_CA = "DARKROOM_OUTBOUND_CA", "outbound_ca", Some("outbound-ca"), "",
        "File (PEM) of certificate authorities that webhooks' receivers and servers of pictures may have their certificates from, besides those that the system trusts.";
    LOG = "DARKROOM_LOG", "log", Some("log"), "info",
        "What to log, in the syntax of `RUST_LOG`, which is read where this is unset.";
}

/// The file that the other settings may stand in.
pub const CONFIG: Setting = Setting {
    name: "DARKROOM_CONFIG",
    key: "",
    flag: Some("config"),
    default: "",
    doc: "Configuration file: TOML with the keys of this table.",
};

/// The settings for programs: where each may stand, what holds otherwise, and what it is for.
#[must_use]
pub fn json() -> Value {
    let named = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    let rows = std::iter::once(&CONFIG).chain(ALL).map(|setting| {
        json!({
            "environment": setting.name,
            "file": named(setting.key),
            "flag": setting.flag.map(|flag| format!("--{flag}")),
            "default": named(setting.default),
            "what": setting.doc,
        })
    });
    json!({ "items": rows.collect::<Vec<_>>() })
}

/// The settings as a Markdown table, for the README.
#[must_use]
pub fn markdown() -> String {
    let mut table =
        String::from("| environment | file | flag | default | what |\n|---|---|---|---|---|\n");
    for setting in std::iter::once(&CONFIG).chain(ALL) {
        let key = match setting.key {
            "" => "–".to_owned(),
            key => format!("`{key}`"),
        };
        let flag = setting
            .flag
            .map_or_else(|| "–".to_owned(), |flag| format!("`--{flag}`"));
        let default = match setting.default {
            "" => "–".to_owned(),
            words if words.contains('`') => words.to_owned(),
            value => format!("`{value}`"),
        };
        writeln!(
            table,
            "| `{}` | {key} | {flag} | {default} | {} |",
            setting.name, setting.doc
        )
        .expect("a String takes any text");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_flags_follow_from_names() {
        for setting in ALL {
            let name = setting.name.to_lowercase();
            let key = name.strip_prefix("darkroom_").unwrap_or(&name);
            assert_eq!(setting.key, key);
            if let Some(flag) = setting.flag {
                assert_eq!(flag, key.replace('_', "-"));
            }
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_setting() {
        let table = markdown();
        assert_eq!(table.lines().count(), ALL.len() + 3);
        assert!(table.contains("| `DARKROOM_LISTEN` | `listen` | `--listen` | `127.0.0.1:8788` |"));
    }
}
