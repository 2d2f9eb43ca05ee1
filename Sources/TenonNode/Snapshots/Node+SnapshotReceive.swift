import TenonCore
import TenonKV
import TenonRaft
import TenonStore
import TenonWire

/// Receiving snapshots, and making one the content of a tablet.
extension Node {
    func readBulk(_ body: Bytes, from node: NodeID, now: Instant) throws(DecodingError) {
        let (tablet, transfer, message) = try SnapshotMessage.decode(from: body)
        let key = SnapshotKey(tablet: tablet, peer: node, transfer: transfer)
        switch message {
        case .begin(let manifest): beginReceiving(manifest, key, now: now)
        case .chunk(_, let chunk): take(chunk, key, now: now)
        }
    }

    private func beginReceiving(_ manifest: SnapshotManifest, _ key: SnapshotKey, now: Instant) {
        guard let tablet = tablet(key.tablet), tablet.problem == nil || tablet.isRebuilding else {
            return tell(key, .failed, chunk: 0)
        }
        // A witness takes no data, and nothing else will do for a copy.
        guard manifest.files.isEmpty == tablet.isWitness else {
            return tell(key, .failed, chunk: 0)
        }
        // One at a time for a tablet: a later one takes the place of one that is not yet
        // being installed.
        if let other = snapshots.incoming.first(where: { $0.key.tablet == key.tablet }) {
            guard !other.isInstallStarted, !other.isWriting else {
                reached(.snapshotRefusedAsBusy)
                return tell(key, .failed, chunk: 0)
            }
            reached(.snapshotSuperseded)
            snapshots.incoming.removeAll { $0.key == other.key }
        }
        // A store that is rebuilt goes on from any snapshot that the log leads on from.
        let isNewer =
            tablet.isRebuilding
            ? manifest.flush.index >= tablet.raft.basePosition.index
            : manifest.flush.index > tablet.raft.commit
        guard isNewer || isPlanted(.snapshotOverNewerEntries) else {
            return tell(key, .installed, chunk: 0)
        }
        snapshots.incoming.append(
            IncomingSnapshot(key: key, manifest: manifest, lastProgress: now))
        notice(
            .info,
            "tablet \(key.tablet): receiving a snapshot of \(manifest.bytes) bytes "
                + "from node \(key.peer)")
        if tablet.isWitness { installMetadata(key, now: now) }
    }

    private func take(_ chunk: SnapshotChunk, _ key: SnapshotKey, now: Instant) {
        guard let place = snapshots.incomingPlace(key) else { return }
        guard snapshots.incoming[place].waiting.count < IncomingSnapshot.chunksMax else {
            return abandon(key, "more chunks at once than agreed")
        }
        snapshots.incoming[place].lastProgress = now
        snapshots.incoming[place].waiting.append(chunk)
        writeNext(key)
    }

    func continueReceiving(_ key: SnapshotKey, now: Instant) {
        guard let place = snapshots.incomingPlace(key) else { return }
        let transfer = snapshots.incoming[place]
        switch transfer.phase {
        case .receiving:
            let isLate = now.since(transfer.lastProgress) > OutgoingSnapshot.patience
            if isLate && !transfer.isWriting { abandon(key, "its sender went silent") }
        case .installing where transfer.manifest.files.isEmpty: installMetadata(key, now: now)
        case .installing: install(key, now: now)
        }
    }

    private func writeNext(_ key: SnapshotKey) {
        guard let place = snapshots.incomingPlace(key), !snapshots.incoming[place].isWriting,
            !snapshots.incoming[place].waiting.isEmpty, let tablet = tablets.peek(key.tablet)
        else { return }
        let transfer = snapshots.incoming[place]
        let chunk = snapshots.incoming[place].waiting.removeFirst()
        snapshots.incoming[place].isWriting = true
        let fileSystem = self.fileSystem
        let directory = tablet.store.directory
        let manifest = transfer.manifest
        let begun = transfer.receiver
        start(.snapshotReceive(key), lane: .bulk) {
            do throws(StoreError) {
                // Made by the first job, for it touches the disk.
                let receiver: SnapshotReceiver
                if let begun {
                    receiver = begun
                } else {
                    receiver = try SnapshotReceiver(
                        manifest, fileSystem: fileSystem, storeDirectory: directory)
                }
                try receiver.receive(chunk)
                return .snapshotWritten(receiver)
            } catch {
                return .storeFailure(error)
            }
        }
    }

    func snapshotReceiveFinished(_ key: SnapshotKey, _ outcome: JobOutcome, now: Instant) {
        guard let place = snapshots.incomingPlace(key) else { return }
        snapshots.incoming[place].isWriting = false
        guard case .snapshotWritten(let receiver) = outcome else {
            return abandon(key, "\(outcome)")
        }
        snapshots.incoming[place].receiver = receiver
        snapshots.incoming[place].written += 1
        snapshots.incoming[place].lastProgress = now
        tell(key, .received, chunk: snapshots.incoming[place].written)
        if receiver.isComplete {
            snapshots.incoming[place].phase = .installing
            install(key, now: now)
        } else {
            writeNext(key)
        }
    }

    /// Lets the store take the snapshot up once it is free. Nothing is applied meanwhile, so
    /// that no write goes to a memtable that is about to be dropped.
    private func install(_ key: SnapshotKey, now: Instant) {
        guard let place = snapshots.incomingPlace(key), let tablet = tablets.peek(key.tablet),
            !snapshots.incoming[place].isInstallStarted,
            let receiver = snapshots.incoming[place].receiver
        else { return }
        let isNewer =
            tablet.isRebuilding || receiver.manifest.flush.index > tablet.machine.appliedIndex
        guard isNewer || isPlanted(.snapshotOverNewerEntries) else {
            reached(.snapshotOvertakenByLog)
            // The log brought the follower further meanwhile.
            snapshots.incoming.remove(at: place)
            return tell(key, .installed, chunk: 0)
        }
        guard !mustSplitFirst(tablet, receiver.manifest.flush, from: key.peer, now: now) else {
            return
        }
        guard tablet.storeJob == nil, let job = tablet.store.installSnapshotJob(receiver) else {
            return
        }
        snapshots.incoming[place].isInstallStarted = true
        tablet.isApplyPaused = true
        with(tablet) { tablet.run(job, into: &$0) }
    }

    /// Has a witness go on from what a leader's flush recorded: its own store, which is empty,
    /// records the same, and then it is taken back like any snapshot (Rule C7).
    private func installMetadata(_ key: SnapshotKey, now: Instant) {
        guard let place = snapshots.incomingPlace(key), let tablet = tablets.peek(key.tablet),
            !snapshots.incoming[place].isInstallStarted
        else { return }
        let record = snapshots.incoming[place].manifest.flush
        snapshots.incoming[place].phase = .installing
        guard tablet.isRebuilding || record.index > tablet.machine.appliedIndex else {
            reached(.snapshotOvertakenByLog)
            snapshots.incoming.remove(at: place)
            return tell(key, .installed, chunk: 0)
        }
        guard !mustSplitFirst(tablet, record, from: key.peer, now: now), tablet.storeJob == nil,
            tablet.store.canFreeze, record.index >= tablet.store.flushed?.index ?? .zero
        else { return }
        snapshots.incoming[place].isInstallStarted = true
        tablet.isApplyPaused = true
        tablet.witness.isTakingMetadata = true
        tablet.store.freezeMemtable(flush: record)
        with(tablet) { tablet.startStoreWork(now: now, into: &$0) }
    }

    /// Store and state machine are the snapshot's now: the log goes on from there.
    func snapshotInstalled(_ tablet: Tablet, now: Instant) {
        guard let place = snapshots.incoming.firstIndex(where: { $0.key.tablet == tablet.id })
        else { preconditionFailure("tablet \(tablet.id) installed a snapshot nobody sent") }
        let transfer = snapshots.incoming.remove(at: place)
        if tablet.isRebuilding {
            counters.storesRebuilt += 1
            removeDamagedStore(of: tablet)
        }
        with(tablet) { tablet.beginAfterSnapshot(now: now, into: &$0) }
        tablet.splitsReplaced()
        if tablet.split.hold != nil { splitWork.watched.insert(tablet.id) }
        reached(.snapshotInstalled)
        counters.snapshotsInstalled += 1
        notice(
            .info,
            "tablet \(tablet.id): the snapshot is installed, "
                + "applied through \(tablet.machine.appliedIndex)")
        tell(transfer.key, .installed, chunk: transfer.written)
        wantsTurn = true
    }

    /// The store could not take the snapshot up; the sender may begin anew.
    func snapshotInstallFailed(_ tablet: Tablet) {
        let transfer = snapshots.incoming.first { $0.key.tablet == tablet.id }
        if let transfer { abandon(transfer.key, "it cannot be installed now") }
    }

    private func abandon(_ key: SnapshotKey, _ reason: String) {
        notice(.warning, "tablet \(key.tablet): the snapshot is given up: \(reason)")
        snapshots.incoming.removeAll { $0.key == key }
        tell(key, .failed, chunk: 0)
    }

    private func tell(_ key: SnapshotKey, _ state: SnapshotProgress.State, chunk: UInt64) {
        let progress = SnapshotProgress(
            tablet: key.tablet, transfer: key.transfer, chunk: chunk, state: state)
        peers.send(.snapshotProgress(progress), to: key.peer)
    }
}

extension Tablet {
    /// Goes on from the snapshot that the store holds now.
    func beginAfterSnapshot(now: Instant, into output: inout TabletOutput) {
        isApplyPaused = false
        do {
            let membership = try Membership(payload: machine.flushedConfiguration.array)
            let position = LogPosition(index: machine.appliedIndex, term: machine.appliedTerm)
            let isNewer = raft.installSnapshot(at: position, membership: membership, now: now)
            // When the log had come as far by itself, what it handed out up to the snapshot is
            // in the snapshot, and the rest is still to be applied.
            while let entry = applyQueue.first, isNewer || entry.index <= position.index {
                _ = applyQueue.removeFirst()
            }
            if isRebuilding {
                guard isNewer || raft.rewind(to: position, membership: membership, now: now)
                else {
                    return output.notices.append(
                        Notice(
                            .warning,
                            "tablet \(id): the snapshot at \(position.index) does not fit the "
                                + "log: another one is asked for"))
                }
                endRebuild()
            } else if !isNewer {
                raft.applied(through: position.index)
            }
        } catch {
            quarantine("the snapshot cannot be used: \(error)", into: &output)
        }
        clock.observe(machine.lastVersion)
    }
}
