//! Users, permissions and what is said of virtual hosts as octets.

use std::sync::Arc;

use super::codec::{CodecError, Reader, put_number, put_text};
use crate::broker::access::{
    Algorithm, PasswordHash, Permissions, TopicPermission, User, UserLimits,
};
use crate::broker::vhost::{VhostLimits, VhostSettings};

const MD5: u8 = 1;
const SHA256: u8 = 2;
const SHA512: u8 = 3;

pub(super) fn put_user(out: &mut Vec<u8>, user: &User) {
    put_text(out, &user.name);
    out.push(match user.password.algorithm() {
        Algorithm::Md5 => MD5,
        Algorithm::Sha256 => SHA256,
        Algorithm::Sha512 => SHA512,
    });
    put_number(out, user.password.octets().len() as u64);
    out.extend_from_slice(user.password.octets());
    put_texts(out, &user.tags);
    put_limit(out, user.limits.max_connections);
    put_limit(out, user.limits.max_channels);
}

pub(super) fn put_permissions(out: &mut Vec<u8>, permissions: &Permissions) {
    put_text(out, permissions.configure.source());
    put_text(out, permissions.write.source());
    put_text(out, permissions.read.source());
}

pub(super) fn put_topic_permission(out: &mut Vec<u8>, permission: &TopicPermission) {
    put_text(out, &permission.exchange);
    put_text(out, &permission.write);
    put_text(out, &permission.read);
}

pub(super) fn put_settings(out: &mut Vec<u8>, settings: &VhostSettings) {
    put_text(out, &settings.description);
    put_texts(out, &settings.tags);
    put_text(
        out,
        settings.default_queue_type.as_deref().unwrap_or_default(),
    );
    out.push(settings.protected.into());
    put_limit(out, settings.limits.max_connections);
    put_limit(out, settings.limits.max_queues);
}

fn put_texts(out: &mut Vec<u8>, texts: &[Arc<str>]) {
    put_number(out, texts.len() as u64);
    for text in texts {
        put_text(out, text);
    }
}

fn put_limit(out: &mut Vec<u8>, limit: Option<i64>) {
    out.push(limit.is_some().into());
    if let Some(limit) = limit {
        put_number(out, limit.cast_unsigned());
    }
}

impl Reader<'_> {
    pub(super) fn user(&mut self) -> Result<User, CodecError> {
        let name = self.text()?;
        let algorithm = match self.octet()? {
            MD5 => Algorithm::Md5,
            SHA256 => Algorithm::Sha256,
            SHA512 => Algorithm::Sha512,
            _ => return Err(CodecError),
        };
        let size = self.number()?;
        let octets = self.take(size)?.into();
        let password = PasswordHash::from_octets(Some(algorithm), octets);
        Ok(User {
            name,
            password: password.map_err(|_| CodecError)?,
            tags: self.texts()?,
            limits: UserLimits {
                max_connections: self.limit()?,
                max_channels: self.limit()?,
            },
        })
    }

    pub(super) fn permissions(&mut self) -> Result<Permissions, CodecError> {
        let [configure, write, read] = [self.text()?, self.text()?, self.text()?];
        Ok(Permissions::kept(&configure, &write, &read))
    }

    pub(super) fn topic_permission(&mut self) -> Result<TopicPermission, CodecError> {
        Ok(TopicPermission {
            exchange: self.text()?,
            write: self.text()?,
            read: self.text()?,
        })
    }

    pub(super) fn settings(&mut self) -> Result<VhostSettings, CodecError> {
        let description = self.text()?;
        let tags = self.texts()?;
        let default_queue_type = self.text()?;
        Ok(VhostSettings {
            description,
            tags,
            default_queue_type: (!default_queue_type.is_empty()).then_some(default_queue_type),
            protected: self.truth()?,
            limits: VhostLimits {
                max_connections: self.limit()?,
                max_queues: self.limit()?,
            },
        })
    }

    fn texts(&mut self) -> Result<Vec<Arc<str>>, CodecError> {
        let count = self.number()?;
        (0..count).map(|_| self.text()).collect()
    }

    fn truth(&mut self) -> Result<bool, CodecError> {
        match self.octet()? {
            octet @ 0..2 => Ok(octet == 1),
            _ => Err(CodecError),
        }
    }

    fn limit(&mut self) -> Result<Option<i64>, CodecError> {
        let given = self.truth()?;
        given
            .then(|| self.number().map(u64::cast_signed))
            .transpose()
    }
}
