//! Certificate authorities that the system does not know.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Those in a PEM file.
pub(super) fn authorities(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = found.map_err(|error| format!("the file cannot be read: {error}"))?;
    if found.is_empty() {
        return Err("there is no certificate in that file: name one in PEM".to_owned());
    }
    let mut trusted = RootCertStore::empty();
    for certificate in &found {
        let added = trusted.add(certificate.clone());
        added.map_err(|error| format!("a certificate in that file cannot be used: {error}"))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_in_a_file_that_holds_nothing_broken() {
        let ours = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/service/certificates/authority.pem"
        );
        assert_eq!(authorities(ours).expect("read").len(), 1);
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("authorities.pem");
        let path = path.to_str().expect("text");
        let refused = |path: &str| authorities(path).expect_err("refused");
        assert!(refused(path).contains("cannot be read"));
        let pem =
            |body| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        for (text, reason) in [
            (String::new(), "no certificate"),
            (pem("bm9uZQ=="), "cannot be used"),
            (pem("!"), "cannot be read"),
        ] {
            std::fs::write(path, text).expect("written");
            assert!(refused(path).contains(reason), "{}", refused(path));
        }
    }
}
