import TenonCore

extension Node {
    /// How often a formation repeats what may have been lost.
    static let reminderInterval = TimeSpan.milliseconds(200)

    func perform(_ actions: [Formation.Action], now: Instant) {
        for action in actions { perform(action, now: now) }
    }

    private func perform(_ action: Formation.Action, now: Instant) {
        switch action {
        case .save(let cluster):
            var changed = identity
            changed.cluster = cluster == .none ? ClusterID(using: &generator) : cluster
            save(changed)
        case .propose(let cluster, let nodes):
            for node in nodes { peers.send(.proposeCluster(cluster), to: node) }
        case .acknowledge(let cluster, let founder):
            peers.send(.acknowledgeCluster(cluster), to: founder)
        case .announce(let cluster, let nodes):
            for node in nodes { peers.send(.announceCluster(cluster), to: node) }
        case .begin(let cluster):
            notice(.info, "the cluster is formed: \(cluster)")
            spreadElections(now: now)
            wantsTurn = true
        case .refuse(let reason):
            reached(.folderRefused)
            effects.halt = reason
        }
    }

    private func save(_ changed: FolderIdentity) {
        let directory = self.directory
        let fileSystem = self.fileSystem
        start(.saveIdentity(changed), lane: .bulk) {
            do throws(FileError) {
                try NodeFolder.write(changed, in: directory, fileSystem: fileSystem)
                return .done
            } catch {
                return .fileFailure(error)
            }
        }
    }

    func identitySaved(_ changed: FolderIdentity, now: Instant) {
        identity = changed
        perform(formation.saved(changed.cluster), now: now)
    }
}
