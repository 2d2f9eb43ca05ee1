import TenonCore
import TenonKV
import TenonRaft
import TenonStore
import TenonWire

extension Tablet {
    var status: NodeStatus.Tablet {
        var status = NodeStatus.Tablet(tablet: id, role: roleName)
        status.term = raft.term.rawValue
        status.leader = leaderNode
        status.first = raft.firstIndex.rawValue
        status.last = raft.lastPosition.index.rawValue
        status.commit = raft.commit.rawValue
        status.applied = machine.appliedIndex.rawValue
        status.flushed = store.flushed?.index.rawValue ?? 0
        status.lastVersion = machine.lastVersion
        status.historyFloor = machine.historyFloor
        status.logDigest = machine.logDigest.value
        status.contentDigest = contentDigest.digest
        status.contentDigestVersion = contentDigest.version
        status.bytesOnDisk = UInt64(store.status.diskBytes)
        status.health = health
        status.sessions = UInt64(machine.sessionCounts.outcomes)
        return status
    }

    private var roleName: String {
        switch raft.role {
        case .follower: isWitness ? "witness" : "follower"
        case .preCandidate: "pre-candidate"
        case .candidate: "candidate"
        case .leader: servesAsLeader ? "leader" : "new leader"
        }
    }
}
