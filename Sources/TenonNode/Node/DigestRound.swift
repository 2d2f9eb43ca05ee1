import TenonCore
import TenonKV
import TenonRaft

/// One comparison of log digests, as the leader counts it (Rule S5).
///
/// Only a minority against a majority that agrees is set aside. Without such a majority the
/// tablet stops writing and says so: nobody knows who is right.
struct DigestRound {
    enum Verdict: Equatable {
        case undecided
        case allEqual
        /// These differ from a majority that the leader belongs to.
        case minority([NodeID])
        /// A majority agrees on something else than the leader.
        case leaderDiverged
        case noMajority
    }

    let index: LogIndex
    let digest: UInt64
    private let voters: Int
    private var answers: [(node: NodeID, digest: UInt64)] = []

    init(index: LogIndex, digest: UInt64, voters: Int) {
        self.index = index
        self.digest = digest
        self.voters = voters
    }

    mutating func answer(_ digest: UInt64, from node: NodeID) {
        if !answers.contains(where: { $0.node == node }) { answers.append((node, digest)) }
    }

    var verdict: Verdict {
        let majority = voters / 2 + 1
        let equal = 1 + answers.filter { $0.digest == digest }.count
        let others = answers.filter { $0.digest != digest }
        if others.isEmpty { return equal == voters ? .allEqual : .undecided }
        if equal >= majority { return .minority(others.map(\.node)) }
        let agreeing = others.map { other in others.filter { $0.digest == other.digest }.count }
        if let most = agreeing.max(), most >= majority { return .leaderDiverged }
        return answers.count + 1 == voters ? .noMajority : .undecided
    }
}

extension Node {
    /// Answers a leader's question, or counts an answer to ours.
    func compareDigest(_ report: DigestReport, isQuestion: Bool, from node: NodeID) {
        guard let tablet = tablet(report.tablet), !tablet.isWitness else { return }
        if isQuestion {
            guard let digest = tablet.digests.digest(at: report.index) else {
                // Often the question comes in one frame with the news that the entry is
                // committed: it is answered when the entry is applied.
                if report.index > tablet.machine.appliedIndex {
                    reached(.digestAskedAhead)
                    tablet.openQuestion = (report.index, node)
                }
                return
            }
            let own = DigestReport(tablet: report.tablet, index: report.index, digest: digest)
            peers.send(.logDigest(own, isQuestion: false), to: node)
        } else {
            count(report, from: node, for: tablet)
        }
    }

    private func count(_ report: DigestReport, from node: NodeID, for tablet: Tablet) {
        guard tablet.raft.role == .leader, tablet.hasVoter(on: node),
            let digest = tablet.digests.digest(at: report.index)
        else { return }
        var round =
            digestRounds[tablet.id].flatMap { $0.index == report.index ? $0 : nil }
            ?? DigestRound(
                index: report.index, digest: digest,
                voters: tablet.raft.membership.incoming.withData.count)
        round.answer(report.digest, from: node)
        digestRounds[tablet.id] = round
        act(on: round, of: "log digest", tablet)
    }

    private func act(on round: DigestRound, of kind: String, _ tablet: Tablet) {
        switch round.verdict {
        case .undecided, .allEqual: break
        case .minority(let nodes):
            for node in nodes {
                notice(.error, "node \(node) diverged in tablet \(tablet.id) at \(round.index)")
                peers.send(.diverged(tablet: tablet.id, index: round.index), to: node)
            }
        case .leaderDiverged:
            with(tablet) {
                tablet.quarantine(
                    "its \(kind) at \(round.index) differs from the majority's", into: &$0)
            }
        case .noMajority:
            with(tablet) {
                tablet.quarantine(
                    "no majority agrees on the \(kind) at \(round.index)", into: &$0)
            }
        }
    }

    // MARK: Content

    /// A replica here has its content digest: the leader counts it, others report it.
    func contentDigestDone(_ tablet: Tablet) {
        let own = ContentReport(
            version: tablet.contentDigest.version, digest: tablet.contentDigest.digest)
        guard tablet.raft.role == .leader else {
            return peers.send(
                .contentDigest(tablet: tablet.id, version: own.version, digest: own.digest),
                to: tablet.leaderNode)
        }
        compareContent(of: tablet)
    }

    func count(_ report: ContentReport, from node: NodeID, for tablet: Tablet) {
        guard tablet.raft.role == .leader, tablet.hasVoter(on: node) else { return }
        var reports = contentReports[tablet.id] ?? ContentReports()
        reports.add(report, from: node)
        contentReports[tablet.id] = reports
        compareContent(of: tablet)
    }

    private func compareContent(of tablet: Tablet) {
        let state = tablet.contentDigest
        guard let reports = contentReports[tablet.id], state.version > .zero,
            reports.version == state.version
        else { return }
        var round = DigestRound(
            index: tablet.machine.appliedIndex, digest: state.digest,
            voters: tablet.raft.membership.incoming.withData.count)
        for (node, digest) in reports.digests { round.answer(digest, from: node) }
        act(on: round, of: "content digest", tablet)
    }
}

/// A replica's content digest at a version.
struct ContentReport {
    var version: Timestamp
    var digest: UInt64
}

/// What the replicas of a tablet said of their content at the newest version asked for.
struct ContentReports {
    private(set) var version = Timestamp.zero
    private(set) var digests: [(node: NodeID, digest: UInt64)] = []

    /// Takes a report; an older version's is too late.
    mutating func add(_ report: ContentReport, from node: NodeID) {
        guard report.version >= version else { return }
        if report.version > version {
            version = report.version
            digests = []
        }
        digests.append((node, report.digest))
    }
}
