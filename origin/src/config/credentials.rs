//! The certificate that pictures are signed with, and its key.

use std::fs;
use std::sync::Arc;

use darkroom_credentials::Signer;
use secrecy::SecretString;

use super::reader::Reader;
use super::settings;
use crate::cause::chain;

impl Reader<'_> {
    /// Reads both files, and signs something at once: what is wrong is told at start.
    pub(super) fn signer(&mut self) -> Option<Arc<Signer>> {
        let settings = [&settings::C2PA_CERTIFICATE, &settings::C2PA_PRIVATE_KEY];
        let [certificate, key] = settings;
        for (one, other) in [(certificate, key), (key, certificate)] {
            if self.layers.find(one).is_some() && self.layers.find(other).is_none() {
                self.wrong.push(format!(
                    "{} is set, but {} is not: set both, or neither",
                    one.name, other.name
                ));
            }
        }
        let [certificates, secret] = settings.map(|setting| self.optional(setting, content));
        let signer = Signer::from_pem(&certificates?, &SecretString::from(secret?));
        match signer {
            Ok(signer) => Some(Arc::new(signer)),
            Err(error) => {
                let setting = if error.is_of_key() { key } else { certificate };
                self.optional(setting, |_| Err(chain(&error)))
            }
        }
    }
}

fn content(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("the file cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::read::Config;
    use super::super::read::tests::{SECRET, environment};

    fn file(name: &str) -> String {
        let folder = env!("CARGO_MANIFEST_DIR");
        format!("{folder}/credentials/certificates/{name}")
    }

    /// What is said of a certificate and a key; nothing where they fit.
    fn said(certificate: &str, key: &str) -> String {
        let (certificate, key) = (file(certificate), file(key));
        let config = Config::read(&environment(&[
            SECRET,
            ("DARKROOM_C2PA_CERTIFICATE", &certificate),
            ("DARKROOM_C2PA_PRIVATE_KEY", &key),
        ]));
        match config {
            Ok(config) => {
                assert!(config.signer.is_some());
                String::new()
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_certificate_and_its_key_make_a_signer() {
        assert_eq!(said("es256.pem", "es256.key"), "");
        let config = Config::read(&environment(&[SECRET])).expect("valid");
        assert!(config.signer.is_none());
    }

    #[test]
    fn what_cannot_sign_is_told_by_the_setting_that_is_wrong() {
        for (certificate, key, setting, part) in [
            ("none.pem", "es256.key", "CERTIFICATE", "cannot be read"),
            ("es256.pem", "other.key", "PRIVATE_KEY", "not that of the"),
            ("es256.pem", "anchor.pem", "PRIVATE_KEY", "PKCS #8"),
            ("expired.pem", "es256.key", "CERTIFICATE", "expired"),
            ("unfit.pem", "es256.key", "CERTIFICATE", "emailProtection"),
        ] {
            let said = said(certificate, key);
            let name = format!("DARKROOM_C2PA_{setting} (");
            assert!(said.contains(&name) && said.contains(part), "{said}");
            assert_eq!(said.lines().count(), 2, "{said}");
        }
    }

    #[test]
    fn neither_is_of_use_alone() {
        for (one, other) in [
            ("CERTIFICATE", "PRIVATE_KEY"),
            ("PRIVATE_KEY", "CERTIFICATE"),
        ] {
            let (name, path) = (format!("DARKROOM_C2PA_{one}"), file("es256.pem"));
            let config = Config::read(&environment(&[SECRET, (&name, &path)]));
            let said = config.expect_err("refused").to_string();
            assert!(
                said.contains(&format!("DARKROOM_C2PA_{other} is not")),
                "{said}"
            );
        }
    }
}
