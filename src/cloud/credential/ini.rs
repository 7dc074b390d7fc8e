//! Profiles of the SDKs: `~/.alibabacloud/credentials`, sections of
//! `name = value`.
//!
//! Facts: the documentation of the official credentials libraries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::ambient::OidcRole;
use super::{AssumedRole, IdToken, Keys, RoleSession, RsaKeyPair, Source};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// Where the keys of a section come from.
pub(super) fn read(path: &Path, section: &str) -> Result<Source> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(Kind::Credentials, format!("Cannot read `{shown}`")).with_source(error)
    })?;
    let values = values_of(&text, section).ok_or_else(|| {
        let message = format!("There is no section `{section}` in `{shown}`");
        Error::new(Kind::Credentials, message)
    })?;
    let section = Section {
        path,
        name: section,
        values,
    };
    section.source()
}

/// The values of a section, if there is one.
fn values_of(text: &str, section: &str) -> Option<BTreeMap<String, String>> {
    let (mut found, mut inside) = (None, false);
    for line in text.lines().map(str::trim) {
        let name = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if let Some((name, _)) = name {
            inside = name.trim() == section;
            if inside {
                found.get_or_insert_with(BTreeMap::new);
            }
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
        {
            let value = value.split(" #").next().unwrap_or_default().trim();
            let values = found.get_or_insert_with(BTreeMap::new);
            values.insert(name.trim().to_owned(), value.to_owned());
        }
    }
    found
}

struct Section<'a> {
    path: &'a Path,
    name: &'a str,
    values: BTreeMap<String, String>,
}

impl Section<'_> {
    fn source(&self) -> Result<Source> {
        match self.required("type")?.as_str() {
            "access_key" => Ok(Source::Keys(self.keys()?)),
            "sts" => Ok(Source::Keys(Keys {
                security_token: Some(Secret::new(self.required("security_token")?)),
                ..self.keys()?
            })),
            "ecs_ram_role" => Ok(Source::InstanceRole(self.get("role_name"))),
            "ram_role_arn" => Ok(Source::AssumedRole(Box::new(AssumedRole {
                base: Source::Keys(self.keys()?),
                arn: self.required("role_arn")?,
                session: self.session(),
            }))),
            "oidc_role_arn" => Ok(Source::Oidc(Box::new(OidcRole {
                role_arn: self.required("role_arn")?,
                provider_arn: self.required("oidc_provider_arn")?,
                token: IdToken::File(PathBuf::from(self.required("oidc_token_file_path")?)),
                session: self.session(),
            }))),
            "rsa_key_pair" => self.rsa_key_pair(),
            other => Err(self
                .error(&format!("has the unknown type `{other}`"))
                .with_hint(
                    "Known are `access_key`, `sts`, `ecs_ram_role`, `ram_role_arn`, \
                     `oidc_role_arn` and `rsa_key_pair`",
                )),
        }
    }

    fn keys(&self) -> Result<Keys> {
        Ok(Keys {
            access_key: self.required("access_key_id")?,
            secret_key: Secret::new(self.required("access_key_secret")?),
            security_token: None,
        })
    }

    fn rsa_key_pair(&self) -> Result<Source> {
        let id = self.required("public_key_id")?;
        let pair = RsaKeyPair::read(id, &self.required("private_key_file")?, self.session());
        pair.map(|pair| Source::RsaKeyPair(Box::new(pair)))
            .map_err(|error| {
                self.error("has no usable `private_key_file`")
                    .with_source(error)
            })
    }

    fn session(&self) -> RoleSession {
        RoleSession {
            name: self.get("role_session_name"),
            policy: self.get("policy"),
            ..RoleSession::default()
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        let value = self.values.get(name)?;
        (!value.is_empty()).then(|| value.clone())
    }

    fn required(&self, name: &str) -> Result<String> {
        self.get(name)
            .ok_or_else(|| self.error(&format!("has no `{name}`")))
    }

    fn error(&self, what: &str) -> Error {
        let message = format!(
            "Section `{}` in `{}` {what}",
            self.name,
            self.path.display()
        );
        Error::new(Kind::Credentials, message)
    }
}
