//! Verifies certificates against the trust store of the system.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use mcp_startup_core::{CertificateProblem, file_kind, io_problem};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// The verifier of the platform, created when the first certificate is verified. Reading the trust store takes longer than
/// starting many servers without TLS.
#[derive(Debug)]
pub(super) struct SystemTrust {
    provider: Arc<CryptoProvider>,
    verifier: OnceLock<Result<Verifier, rustls::Error>>,
}

/// The certificate is signed with its own key, and the system does not trust it.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is self-signed")]
struct SelfSigned;

/// Why the certificate of a server was not accepted. `None` if that is not why a request failed.
pub(super) fn certificate_problem(error: &rustls::Error) -> Option<CertificateProblem> {
    use CertificateError as Reason;
    let Error::InvalidCertificate(reason) = error else {
        return None;
    };
    Some(match reason {
        Reason::Expired | Reason::ExpiredContext { .. } => CertificateProblem::Expired,
        Reason::NotValidYet | Reason::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => {
            CertificateProblem::WrongName
        }
        // A bad signature: an authority of the same name, but with another key.
        Reason::UnknownIssuer | Reason::BadSignature => CertificateProblem::UnknownIssuer,
        Reason::Revoked => CertificateProblem::Revoked,
        Reason::Other(OtherError(other)) => match other.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) => CertificateProblem::CertificateOfAuthority,
            _ if other.is::<SelfSigned>() => CertificateProblem::SelfSigned,
            _ => CertificateProblem::Invalid,
        },
        _ => CertificateProblem::Invalid,
    })
}

impl SystemTrust {
    pub fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            verifier: OnceLock::new(),
        }
    }

    /// Whether a certificate would be valid if its own key were trusted.
    fn is_self_signed(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        let (Ok(anchor), Ok(parsed)) = (
            webpki::anchor_from_trusted_cert(certificate),
            webpki::EndEntityCert::try_from(certificate),
        ) else {
            return false;
        };
        let algorithms = self.provider.signature_verification_algorithms.all;
        let usage = webpki::KeyUsage::server_auth();
        let anchors = [anchor];
        parsed
            .verify_for_usage(algorithms, &anchors, &[], now, usage, None, None)
            .is_ok()
    }

    fn verifier(&self) -> Result<&Verifier, rustls::Error> {
        self.verifier
            .get_or_init(|| {
                let file = std::env::var_os("SSL_CERT_FILE");
                check_certificate_file(file.as_ref().map(Path::new))?;
                Verifier::new(self.provider.clone())
            })
            .as_ref()
            .map_err(Clone::clone)
    }
}

/// Fails if the file of `SSL_CERT_FILE` is a pipe, a device or large: reading a pipe could block, and a device could have no end.
fn check_certificate_file(file: Option<&Path>) -> Result<(), rustls::Error> {
    const MAX_BYTES: u64 = 64 * 1024 * 1024;
    // Other systems ignore the variable.
    let file = file.filter(|_| cfg!(target_os = "linux"));
    let Some(metadata) = file.and_then(|file| file.metadata().ok()) else {
        return Ok(());
    };
    let problem = match metadata.is_file() {
        true if metadata.len() <= MAX_BYTES => return Ok(()),
        true => "larger than 64 MiB",
        // Reading it fails, and SSL_CERT_DIR may have the certificates.
        false if metadata.is_dir() => return Ok(()),
        false => file_kind(metadata.file_type()),
    };
    Err(Error::General(format!("SSL_CERT_FILE is {problem}")))
}

/// A warning if the file of `SSL_CERT_FILE` has no certificates. With one that [`check_certificate_file`] refuses, every start fails, with the
/// reason.
pub(super) fn warning(file: &Path) -> Option<String> {
    if cfg!(not(target_os = "linux")) || check_certificate_file(Some(file)).is_err() {
        return None;
    }
    let has_certificate = || {
        for certificate in CertificateDer::pem_file_iter(file)? {
            match certificate {
                Ok(_) => return Ok(true),
                // It would be returned again, without an end.
                Err(error @ pem::Error::Io(_)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(false)
    };
    let problem = match has_certificate() {
        Ok(true) => return None,
        Ok(false) => "has no certificate in PEM format".to_owned(),
        Err(pem::Error::Io(error)) => format!("can't be read: {}", io_problem(&error)),
        Err(error) => format!("can't be read: {error}"),
    };
    Some(format!("SSL_CERT_FILE: {} {problem}", file.display()))
}

impl ServerCertVerifier for SystemTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.verifier()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        verified.map_err(|error| match error {
            Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) if self.is_self_signed(end_entity, now) => {
                CertificateError::Other(OtherError(Arc::new(SelfSigned))).into()
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_certificates_without_an_end_is_not_read() {
        let problem = |path: &str| {
            let checked = check_certificate_file(Some(Path::new(path)));
            checked.err().map(|error| error.to_string())
        };
        let of_device = problem("/dev/zero");
        assert!(of_device.is_some_and(|problem| problem.contains("a device")));
        for path in ["/proc/self/status", "/", "/no/such/file", ""] {
            assert_eq!(problem(path), None, "{path}");
        }
    }

    #[test]
    fn a_file_without_certificates_has_a_warning_that_names_the_variable() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        // Only the form counts, as in the verifier.
        let authority = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(warning(&path("authority.pem", authority)), None);
        for (path, problem) in [
            (path("text.pem", "no certificate"), "has no certificate"),
            (folder.path().join("nothing"), "can't be read: "),
        ] {
            let warned = warning(&path).unwrap();
            let expected = format!("SSL_CERT_FILE: {} {problem}", path.display());
            assert!(warned.starts_with(&expected), "{warned}");
        }
        assert_eq!(warning(Path::new("/dev/zero")), None);
    }
}
