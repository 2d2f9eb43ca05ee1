import TenonCore
import TenonRaft
import TenonStore
import TenonWire

/// The snapshots of a node.
struct SnapshotTransfers {
    /// In the order in which they began.
    var outgoing: [OutgoingSnapshot] = []
    var incoming: [IncomingSnapshot] = []
    var nextTransfer: UInt64 = 1
    /// Tablets whose log is kept for what is being sent.
    var heldTablets: [TabletID] = []

    var isEmpty: Bool { outgoing.isEmpty && incoming.isEmpty }

    func outgoingPlace(_ key: SnapshotKey) -> Int? { outgoing.firstIndex { $0.key == key } }
    func incomingPlace(_ key: SnapshotKey) -> Int? { incoming.firstIndex { $0.key == key } }
}

/// Sending snapshots to followers that need what the log does not hold any more.
extension Node {
    /// Transfers at a time; the next follower waits, and Raft asks again.
    static let outgoingSnapshotsMax = 2

    func snapshotWanted(_ tablet: Tablet, by follower: ReplicaID, now: Instant) {
        guard let peer = tablet.node(of: follower) else { return }
        // What is quarantined here is no copy to go on from (Rule L7); another will lead.
        guard tablet.problem == nil else {
            reached(.snapshotOfDamagedRefused)
            return tablet.raft.snapshotFailed(to: follower)
        }
        // There is nothing here that a copy could be made of; another leader will have it.
        guard !tablet.isWitness || tablet.raft.membership.isWitness(follower) else {
            reached(.witnessAskedForData)
            return tablet.raft.snapshotFailed(to: follower)
        }
        // One that is over may wait for its folder to be removed; it answers Raft no more.
        let rival = snapshots.outgoing.firstIndex {
            $0.key.tablet == tablet.id && $0.key.peer == peer && $0.phase != .over
        }
        if let rival {
            guard snapshots.outgoing[rival].follower != follower else { return }
            // It is for a replica that was on that node before. Raft asks again for this one.
            reached(.snapshotOfEarlierReplicaEnded)
            snapshots.outgoing[rival].end()
            return tablet.raft.snapshotFailed(to: follower)
        }
        // On a link that is not there its beginning would be lost, and found missing only when
        // patience ends.
        let hasWay = peers[peer]?.isBulkUp ?? false
        if !hasWay { reached(.snapshotWaitsForLink) }
        guard hasWay, snapshots.outgoing.count < Node.outgoingSnapshotsMax else {
            return tablet.raft.snapshotFailed(to: follower)
        }
        // Unlike any of an earlier boot, so that late answers are not taken for ours.
        let transfer = identity.boot.rawValue << 32 | snapshots.nextTransfer
        snapshots.nextTransfer += 1
        let key = SnapshotKey(tablet: tablet.id, peer: peer, transfer: transfer)
        snapshots.outgoing.append(
            OutgoingSnapshot(
                key: key, follower: follower,
                directory: "\(NodeFolder.snapshots(in: directory))/\(tablet.id)-\(transfer)",
                now: now))
        tablet.isFlushWanted = true
        notice(.info, "tablet \(tablet.id): node \(peer) needs a snapshot")
    }

    /// Goes on with every transfer as far as it can.
    func continueSnapshots(now: Instant) {
        guard !snapshots.isEmpty || !snapshots.heldTablets.isEmpty else { return }
        for key in snapshots.outgoing.map(\.key) { continueSending(key, now: now) }
        for key in snapshots.incoming.map(\.key) { continueReceiving(key, now: now) }
        holdTrims()
        noteHeldBytes()
    }

    /// The log of a tablet is kept from where the snapshots that are being sent of it end.
    private func holdTrims() {
        for id in snapshots.heldTablets { tablets.peek(id)?.trimHold = nil }
        snapshots.heldTablets = []
        for transfer in snapshots.outgoing {
            guard let index = transfer.index, let tablet = tablets.peek(transfer.key.tablet) else {
                continue
            }
            tablet.trimHold = min(tablet.trimHold ?? index, index)
            snapshots.heldTablets.append(tablet.id)
        }
    }

    private func noteHeldBytes() {
        let sending = snapshots.outgoing.reduce(0) { $0 + $1.heldBytes }
        let receiving = snapshots.incoming.reduce(0) {
            $0 + ($1.waiting.count + ($1.isWriting ? 1 : 0)) * SnapshotChunk.bytesMax
        }
        counters.snapshotBytesHeldMax = max(
            counters.snapshotBytesHeldMax, UInt64(sending + receiving))
    }

    private func continueSending(_ key: SnapshotKey, now: Instant) {
        guard let place = snapshots.outgoingPlace(key) else { return }
        let transfer = snapshots.outgoing[place]
        guard let tablet = tablets.peek(key.tablet) else {
            if !transfer.isBusy { remove(transfer) }
            return
        }
        if case .over = transfer.phase {
            if !transfer.isBusy { remove(transfer) }
            return
        }
        let isLate = now.since(transfer.lastProgress) > OutgoingSnapshot.patience
        if tablet.raft.role != .leader || tablet.problem != nil || isLate {
            return giveUp(key, tablet)
        }
        switch transfer.phase {
        case .checkpoint: startCheckpoint(transfer, of: tablet, now: now)
        case .sending: loadNext(key)
        case .over: break
        }
    }

    /// Orders the checkpoint when the store is free and what it flushed is recent enough for the
    /// follower to go on from with the log.
    private func startCheckpoint(
        _ transfer: OutgoingSnapshot, of tablet: Tablet, now: Instant
    ) {
        guard tablet.storeJob == nil, let flushed = tablet.store.flushed,
            flushed.index >= tablet.raft.basePosition.index
        else { return }
        // A witness is told where the log goes on, and nothing else (Rule C7).
        if tablet.raft.membership.isWitness(transfer.follower) {
            reached(.metadataSentToWitness)
            return checkpointMade(
                SnapshotManifest(files: [], flush: flushed), for: transfer.key, now: now)
        }
        guard
            let job = tablet.store.checkpointJob(to: transfer.directory)
        else { return }
        tablet.checkpointFor = transfer.key
        with(tablet) { tablet.run(job, into: &$0) }
    }

    /// The checkpoint is made: tell the receiver what comes.
    func checkpointMade(_ manifest: SnapshotManifest, for key: SnapshotKey, now: Instant) {
        guard let place = snapshots.outgoingPlace(key) else { return }
        let reader = SnapshotReader(
            fileSystem: fileSystem, directory: snapshots.outgoing[place].directory,
            manifest: manifest)
        snapshots.outgoing[place].begin(reader, now: now)
        sendBulk(.begin(manifest), key)
        loadNext(key)
    }

    private func loadNext(_ key: SnapshotKey) {
        guard let place = snapshots.outgoingPlace(key),
            let reader = snapshots.outgoing[place].reader,
            let position = snapshots.outgoing[place].takeLoad()
        else { return }
        start(.snapshotSend(key), lane: .bulk) {
            do throws(StoreError) {
                let (chunk, next) = try reader.chunk(at: position)
                return .snapshotChunk(chunk, next: next)
            } catch {
                return .storeFailure(error)
            }
        }
    }

    func snapshotSendFinished(_ key: SnapshotKey, _ outcome: JobOutcome, now: Instant) {
        guard let place = snapshots.outgoingPlace(key) else { return }
        guard let tablet = tablet(key.tablet) else {
            // It left this node while the chunk was read.
            snapshots.outgoing[place].didEnd()
            return
        }
        switch outcome {
        case .snapshotChunk(let chunk, let next):
            let number = snapshots.outgoing[place].didLoad(next: next)
            guard case .sending = snapshots.outgoing[place].phase else { return }
            sendBulk(.chunk(number: number, chunk), key)
            loadNext(key)
        default:
            notice(.warning, "tablet \(key.tablet): the snapshot cannot be read: \(outcome)")
            let file = snapshots.outgoing[place].didFailToLoad()
            if case .storeFailure(let error) = outcome, case .damaged = error, let file,
                tablet.store.hasTable(named: file)
            {
                // A checkpoint's tables are the store's own, under another name.
                reached(.snapshotSourceDamaged)
                with(tablet) { tablet.rebuild(because: "\(error)", into: &$0) }
            }
            giveUp(key, tablet)
        }
    }

    private func sendBulk(_ message: SnapshotMessage, _ key: SnapshotKey) {
        var writer = ByteWriter(capacity: SnapshotChunk.bytesMax + 256)
        writer.frame(.peerBulk) {
            message.encode(tablet: key.tablet, transfer: key.transfer, to: &$0)
        }
        effects.peerOutput.append((key.peer, .bulk, writer.take()))
    }

    func snapshotProgressed(_ progress: SnapshotProgress, from node: NodeID, now: Instant) {
        let key = SnapshotKey(tablet: progress.tablet, peer: node, transfer: progress.transfer)
        guard let place = snapshots.outgoingPlace(key), let tablet = tablet(key.tablet) else {
            return
        }
        switch progress.state {
        case .received:
            snapshots.outgoing[place].acknowledge(progress.chunk, now: now)
            loadNext(key)
        case .installed:
            let transfer = snapshots.outgoing[place]
            if let index = transfer.index {
                tablet.raft.snapshotSent(to: transfer.follower, at: index)
            }
            reached(.snapshotSent)
            counters.snapshotsSent += 1
            snapshots.outgoing[place].end()
        case .failed: giveUp(key, tablet)
        }
        wantsTurn = true
    }

    private func giveUp(_ key: SnapshotKey, _ tablet: Tablet) {
        guard let place = snapshots.outgoingPlace(key), snapshots.outgoing[place].phase != .over
        else { return }
        reached(.snapshotGivenUp)
        notice(.warning, "tablet \(key.tablet): the snapshot for node \(key.peer) is given up")
        tablets.touch(tablet)
        tablet.raft.snapshotFailed(to: snapshots.outgoing[place].follower)
        snapshots.outgoing[place].end()
        wantsTurn = true
    }

    /// Forgets a transfer and its checkpoint's folder. What cannot be removed now is removed at
    /// the next start.
    private func remove(_ transfer: OutgoingSnapshot) {
        if let tablet = tablets.peek(transfer.key.tablet), tablet.checkpointFor == transfer.key {
            return  // The checkpoint is still being made.
        }
        snapshots.outgoing.removeAll { $0.key == transfer.key }
        let fileSystem = self.fileSystem
        let directory = transfer.directory
        start(.cleanUp, lane: .bulk) {
            do throws(FileError) {
                try fileSystem.removeTree(directory)
                return .done
            } catch {
                return .fileFailure(error)
            }
        }
    }

    /// A bulk link broke: what was on it is lost.
    func snapshotLinkDown(_ node: NodeID) {
        for key in snapshots.outgoing.map(\.key) where key.peer == node {
            if let tablet = tablet(key.tablet) { giveUp(key, tablet) }
        }
    }
}
