//! The control plane: what changes the catalog. One change at a time; each is on disk before it is answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hydrant_model::{Rules, StreamId};
use serde_json::{Value, json};

use super::backend::LEDGER_PATIENCE;
use super::running::{CREATION, Running};
use super::{Claim, Error as ServiceError, Service};
use crate::catalog::tags::{ListTags, Tag, Untag};
use crate::catalog::{
    Applied, Definition, DeleteStream, DescribeStream, Error, ListStreams, OnDelete, Plan, Stream as Described,
    UpdateDestination, describe,
};
use crate::delivery::Wish;

impl Service {
    /// Answers an operation of the control plane; `None` for one that is not known.
    pub(super) async fn answer_control(&self, operation: &str, request: &Value) -> Option<Result<Value, Error>> {
        Some(match operation {
            "CreateDeliveryStream" => self.create(request).await,
            "DeleteDeliveryStream" => self.delete(request).await,
            "DescribeDeliveryStream" => self.describe(request),
            "ListDeliveryStreams" => self.list(request),
            "UpdateDestination" => self.update(request).await,
            "TagDeliveryStream" => self.tag(request).await,
            "UntagDeliveryStream" => self.untag(request).await,
            "ListTagsForDeliveryStream" => self.list_tags(request),
            _ => return None,
        })
    }

    async fn create(&self, request: &Value) -> Result<Value, Error> {
        let definition = Definition::from_request(request, &self.inner.rulebook)?;
        self.check(&definition, None).await.map_err(Lack::refusal)?;
        let name = definition.name.clone();
        let _changing = self.inner.changing.lock().await;
        self.add(definition, None).await?;
        Ok(json!({ "DeliveryStreamARN": self.inner.place.stream_arn(&name) }))
    }

    /// Adds a stream under a free name. A name whose stream is being deleted is free: the old one drains under its id.
    pub(super) async fn add(&self, definition: Definition, applied: Option<Applied>) -> Result<(), Error> {
        let name = definition.name.clone();
        let old = self.inner.streams.read().get(&name).map(Arc::clone);
        if old.as_ref().is_some_and(|old| !old.deleting.load(Ordering::Relaxed)) {
            return Err(Error::already_exists(&name, &self.inner.place.account));
        }
        self.settled(&name)?;
        let (id, by_request) = (StreamId(self.inner.clock.bits()), applied.is_none());
        let now_ms = self.inner.clock.wall_ms();
        let store = self.inner.store.clone();
        let created = blocking(move || store.create(id, definition, applied, now_ms)).await;
        // A stream of a file is there when the service says that it is ready.
        let creating = (by_request && self.is_strict()).then(|| self.inner.clock.now() + CREATION);
        let started = match created {
            Ok(described) => self.start_stream(described, creating).await.map_err(internal),
            Err(error) => Err(error),
        };
        let running = match started {
            Ok(running) => running,
            Err(error) => {
                self.undo_creation(&name, id).await;
                return Err(error);
            }
        };
        if let Some(old) = self.inner.streams.write().insert(name, running) {
            self.inner.draining.lock().insert(old.id, old);
        }
        Ok(())
    }

    /// Whether a name that no stream at work has belongs to none that could not be started.
    pub(super) fn settled(&self, name: &str) -> Result<(), Error> {
        let (damaged, account) = (self.inner.damaged.lock(), &self.inner.place.account);
        if damaged.iter().any(|claim| matches!(claim, Claim::Name(held) if held == name)) {
            return Err(Error::set_aside(name, account));
        }
        if damaged.contains(&Claim::Unknown) {
            return Err(Error::unknown_name(name, account));
        }
        Ok(())
    }

    async fn delete(&self, request: &Value) -> Result<Value, Error> {
        let DeleteStream { name, force } = DeleteStream::from_request(request)?;
        let _changing = self.inner.changing.lock().await;
        let running = self.find(&name)?;
        if running.is_creating() {
            return Err(self.being(&name, "created"));
        }
        let discard = force || self.is_strict() || running.handle.stream.current().on_delete == OnDelete::Discard;
        if !running.deleting.load(Ordering::Relaxed) {
            let (store, described) = (self.inner.store.clone(), running.described());
            let now_ms = self.inner.clock.wall_ms();
            let described = blocking(move || store.begin_deletion(&described, now_ms)).await?;
            running.describe(described);
            // Behind the write: a deletion that was not stored did not happen.
            running.deleting.store(true, Ordering::Relaxed);
            running.limit_draining();
            self.warn_of_remaining_file(&running);
        }
        if force {
            self.drop_namesakes(&running);
        }
        running.log.close();
        // Puts that were queued before are answered still: behind this sync all of them are known to delivery.
        if let Err(error) = running.log.sync().await {
            tracing::warn!(stream = %running.name, %error, "what was put last before the deletion was not acknowledged");
        }
        running.handle.wish(if discard { Wish::Discard } else { Wish::Drain });
        Ok(json!({}))
    }

    /// Nothing was acknowledged in a stream that was never answered for: its folder must not hold its name at the next start.
    async fn undo_creation(&self, name: &str, id: StreamId) {
        let store = self.inner.store.clone();
        if let Err(error) = blocking(move || store.remove(id)).await {
            tracing::error!(stream = name, folder = %id, %error, "what a failed creation left could not be removed");
            // A second folder of the name would hide one of the two at the next start. One that was set aside hides nothing.
            if !matches!(self.inner.store.folder(id).try_exists(), Ok(false)) {
                self.inner.damaged.lock().push(Claim::Name(name.to_owned()));
            }
        }
    }

    /// A deleted stream has nothing left to deliver: its files go, and its name is free.
    pub(super) async fn gone(&self, running: &Arc<Running>) {
        let _changing = self.inner.changing.lock().await;
        running.handle.stream.errors.log().close();
        running.handle.stream.spool.log().close();
        running.handle.stream.ledger.log().close();
        let (store, id) = (self.inner.store.clone(), running.id);
        if let Err(error) = blocking(move || store.remove(id)).await {
            tracing::error!(stream = %running.name, %error, "the files of a deleted stream stay until the next start");
        }
        self.forget(running);
        tracing::info!(stream = %running.name, "deleted");
    }

    fn describe(&self, request: &Value) -> Result<Value, Error> {
        let DescribeStream { name } = DescribeStream::from_request(request)?;
        let running = self.find(&name)?;
        describe(&running.described(), running.status_name(), &self.inner.place, &self.inner.rulebook)
    }

    fn list(&self, request: &Value) -> Result<Value, Error> {
        let list = ListStreams::from_request(request)?;
        let streams = self.inner.streams.read();
        let mut named: Vec<_> = streams
            .values()
            .map(|running| (running.name.as_str(), running.described().definition.stream_type))
            .collect();
        named.sort_unstable_by_key(|(name, _)| *name);
        Ok(list.page(named))
    }

    async fn update(&self, request: &Value) -> Result<Value, Error> {
        let update = UpdateDestination::from_request(request, &self.inner.rulebook)?;
        let described = self.active(&update.name, Error::not_found_for_update)?.described();
        let definition = update.apply(&described.definition, described.version, &self.inner.rulebook)?;
        // Others need not wait while a module is compiled or Glue is asked. The update says which version it is made against,
        // so that what it makes of that version is the same below.
        self.check(&definition, Some(&described.definition)).await.map_err(Lack::refusal)?;
        let _changing = self.inner.changing.lock().await;
        let running = self.active(&update.name, Error::not_found_for_update)?;
        let described = running.described();
        let definition = update.apply(&described.definition, described.version, &self.inner.rulebook)?;
        self.put_into_force(&running, definition, described.applied.clone(), true).await?;
        Ok(json!({}))
    }

    /// Whether what a new definition needs is there: the function that it asks, the table that it converts to. One that is missing
    /// would hold every record. What did not change since `before` is not looked at.
    pub(super) async fn check(&self, definition: &Definition, before: Option<&Definition>) -> Result<(), Lack> {
        let changed = |member| before.is_none_or(|before| stored(before, member) != stored(definition, member));
        let lack = |member, reason: String| Lack { member, reason, is_certain: true };
        let plan = Plan::new(definition, 0, &self.inner.rulebook).map_err(|reason| lack(PROCESSING, reason))?;
        if changed(CONVERSION) {
            self.inner.tables.check(&plan).await.map_err(|error| Lack {
                member: CONVERSION,
                reason: error.to_string(),
                is_certain: error.is_certain,
            })?;
        }
        if changed(PROCESSING) {
            let lambdas = Arc::clone(&self.inner.lambdas);
            let checked = tokio::task::spawn_blocking(move || lambdas.check(&plan)).await;
            checked.unwrap_or_else(|error| Err(error.to_string())).map_err(|reason| lack(PROCESSING, reason))?;
        }
        Ok(())
    }

    async fn tag(&self, request: &Value) -> Result<Value, Error> {
        let tag = Tag::from_request(request)?;
        self.retag(&tag.name, |definition| tag.apply(definition, &self.inner.rulebook)).await
    }

    async fn untag(&self, request: &Value) -> Result<Value, Error> {
        let untag = Untag::from_request(request)?;
        self.retag(&untag.name, |definition| untag.apply(definition, &self.inner.rulebook)).await
    }

    async fn retag(
        &self,
        name: &str,
        change: impl FnOnce(&Definition) -> Result<Definition, Error>,
    ) -> Result<Value, Error> {
        let _changing = self.inner.changing.lock().await;
        let running = self.active(name, Error::not_found)?;
        let described = running.described();
        let definition = change(&described.definition)?;
        self.put_into_force(&running, definition, described.applied.clone(), false).await?;
        Ok(json!({}))
    }

    fn list_tags(&self, request: &Value) -> Result<Value, Error> {
        let list = ListTags::from_request(request)?;
        Ok(list.page(&self.find(&list.name)?.described().definition))
    }

    /// Stores a changed definition and tells the road; returns when it is in force.
    pub(super) async fn put_into_force(
        &self,
        running: &Running,
        definition: Definition,
        applied: Option<Applied>,
        new_version: bool,
    ) -> Result<(), Error> {
        let before = running.described();
        let version = if new_version { before.version + 1 } else { before.version };
        let plan = self.plan(&definition, version).map_err(Error::InvalidArgument)?;
        let (store, now_ms) = (self.inner.store.clone(), self.inner.clock.wall_ms());
        let described: Described = blocking(move || {
            if new_version {
                store.add_version(&before, definition, applied, now_ms)
            } else {
                store.retag(&before, definition, applied)
            }
        })
        .await?;
        running.describe(described);
        running.log.account().set_budget(plan.disk_budget.unwrap_or(self.inner.settings.disk_budget));
        // A road that ends meanwhile reads the new version at the next start.
        let in_force = running.handle.reconfigure(Arc::new(plan));
        if tokio::time::timeout(LEDGER_PATIENCE, in_force).await.is_err() {
            return Err(Error::internal(format!(
                "version {version} of {} is stored and takes effect when the stream's ledger can be written",
                running.name
            )));
        }
        self.prune_versions(running).await;
        Ok(())
    }

    /// Versions that no waiting record needs go, once the ledger says so on disk: what it forgets by a power failure may need them.
    async fn prune_versions(&self, running: &Running) {
        let needed = running.handle.stream.ledger.oldest_version();
        let Ok(Ok(needed)) = tokio::time::timeout(LEDGER_PATIENCE, needed).await else { return };
        let (store, id) = (self.inner.store.clone(), running.id);
        let pruned = blocking(move || store.prune_versions(id, |version| version + SPARE_VERSIONS >= needed));
        if let Err(error) = pruned.await {
            tracing::warn!(stream = %running.name, %error, "old configuration versions stay for now");
        }
    }

    pub(super) fn find(&self, name: &str) -> Result<Arc<Running>, Error> {
        let found = self.inner.streams.read().get(name).map(Arc::clone);
        found.ok_or_else(|| Error::not_found(name, &self.inner.place.account))
    }

    fn active(&self, name: &str, missing: fn(&str, &str) -> Error) -> Result<Arc<Running>, Error> {
        let account = &self.inner.place.account;
        let found = self.inner.streams.read().get(name).map(Arc::clone);
        let running = found.ok_or_else(|| missing(name, account))?;
        if running.deleting.load(Ordering::Relaxed) {
            return Err(self.being(name, "deleted"));
        }
        if running.is_creating() {
            return Err(self.being(name, "created"));
        }
        Ok(running)
    }

    fn being(&self, name: &str, what: &str) -> Error {
        Error::ResourceInUse(format!("Firehose {name} under account {} is being {what}.", self.inner.place.account))
    }

    fn is_strict(&self) -> bool {
        self.inner.rulebook.rules == Rules::Strict
    }
}

/// Something that a stream needs and that is not there.
pub(super) struct Lack {
    /// The member of the destination that asks for it.
    pub(super) member: &'static str,
    pub(super) reason: String,
    /// Whether it is certain that it is not there.
    pub(super) is_certain: bool,
}

impl Lack {
    fn refusal(self) -> Error {
        Error::InvalidArgument(self.reason)
    }
}

/// A member of the destination of `definition`.
fn stored<'d>(definition: &'d Definition, member: &str) -> Option<&'d Value> {
    definition.destination.configuration.get(member)
}

/// Runs work of the catalog's files off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crate::catalog::StoreError> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Error::from),
        Err(error) => Err(Error::internal(error)),
    }
}

fn internal(error: ServiceError) -> Error {
    Error::internal(error)
}

const PROCESSING: &str = "ProcessingConfiguration";
const CONVERSION: &str = "DataFormatConversionConfiguration";
/// Versions kept beyond what the ledger needs: should its newest segment be damaged, the one before it needs older ones.
const SPARE_VERSIONS: u64 = 16;
