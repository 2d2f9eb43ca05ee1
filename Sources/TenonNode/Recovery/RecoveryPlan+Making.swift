package import TenonCore
import TenonRaft
import TenonWire

/// Making a plan: a pure function of the survivors' reports (Rule C10).
extension RecoveryPlan {
    /// How far versions may stand from the time of the machine that says when the loss was
    /// (Rule S2).
    package static let clockMargin = TimeSpan.milliseconds(500)

    /// Counts recoveries in the upper half of an epoch; the lower half is random, so that two
    /// recoveries that know nothing of each other never begin the same one.
    private static let epochCounterShift: UInt64 = 32

    /// What recovers the tablets that have no majority without the nodes `names`.
    ///
    /// - Parameters:
    ///   - lossEnd: when the lost nodes were gone at the latest.
    ///   - abandoned: tablets whose data is given up, if no survivor has a whole copy.
    /// - Throws: ``RecoveryError``, a case of planning.
    /// - Complexity: O(tablets x reports^2).
    package static func make(
        from reports: [SurvivorReport], lost names: [String], lossEnd: WallTime,
        abandoned: Set<TabletID> = [], using generator: inout some RandomNumberGenerator
    ) throws(RecoveryError) -> RecoveryPlan {
        try requireOneCluster(reports)
        let survey = try SurvivorSurvey(reports, lost: names)
        var plan = RecoveryPlan(
            cluster: reports[0].cluster, epoch: reports[0].epoch,
            newEpoch: epoch(after: reports[0].epoch, using: &generator), lost: survey.lost,
            survivors: survey.survivors, missing: survey.missing,
            lossEnd: WallTime(
                milliseconds: lossEnd.milliseconds
                    + UInt64(RecoveryPlan.clockMargin.wholeMilliseconds)),
            tablets: [], abandoned: [])
        var hopeless: [(tablet: TabletID, reasons: [String])] = []
        for id in survey.tablets {
            switch try survey.judge(id) {
            case .standsByItself: break
            case .recoverable(let tablet): plan.tablets.append(tablet)
            case .hopeless where abandoned.contains(id): plan.abandoned.append(id)
            case .hopeless(let reasons): hopeless.append((id, reasons))
            }
        }
        guard hopeless.isEmpty else { throw .noWholeCopy(hopeless) }
        guard !plan.tablets.isEmpty || !plan.abandoned.isEmpty else {
            throw .nothingToDo(lost: survey.lost.map(\.name))
        }
        return plan
    }

    private static func requireOneCluster(
        _ reports: [SurvivorReport]
    ) throws(RecoveryError) {
        guard let first = reports.first else { throw .noReports }
        for (place, report) in reports.enumerated() {
            guard report.cluster == first.cluster else {
                throw .otherCluster(
                    name: report.name, report.cluster, other: first.name, first.cluster)
            }
            guard report.epoch == first.epoch else {
                throw .otherEpoch(name: report.name, report.epoch, other: first.name, first.epoch)
            }
            guard !reports[..<place].contains(where: { $0.node == report.node }) else {
                throw .reportedTwice(name: report.name)
            }
        }
    }

    private static func epoch(
        after old: Epoch, using generator: inout some RandomNumberGenerator
    ) -> Epoch {
        let count = (old.rawValue >> epochCounterShift) + 1
        return Epoch(count << epochCounterShift | (generator.next() >> epochCounterShift))
    }
}

/// The reports together, and what they say of each tablet.
private struct SurvivorSurvey {
    enum Judgement {
        /// It has a majority without the lost nodes.
        case standsByItself
        case recoverable(RecoveryPlan.Tablet)
        /// No copy of it is whole; what is wrong with those that are there.
        case hopeless([String])
    }

    let reports: [SurvivorReport]
    let lost: [RecoveryPlan.Node]
    let survivors: [RecoveryPlan.Node]
    let missing: [RecoveryPlan.Node]
    /// The newest copy of the directory that a survivor saved.
    private let directory: Directory

    /// A configuration's number is raised by so much: changes that only the lost nodes knew of, and
    /// that the directory may have heard of, stay below it.
    private static let generationStep: UInt64 = 1 << 16

    init(_ reports: [SurvivorReport], lost names: [String]) throws(RecoveryError) {
        self.reports = reports.sorted { $0.node < $1.node }
        var newest = reports[0].directory
        for report in reports where report.directory.version > newest.version {
            newest = report.directory
        }
        directory = newest
        var known = newest.nodes.map {
            RecoveryPlan.Node(id: $0.id, name: $0.name, address: $0.address)
        }
        for report in reports where !known.contains(where: { $0.id == report.node }) {
            let own = report.directory.node(report.node)
            known.append(
                RecoveryPlan.Node(
                    id: report.node, name: report.name, address: own?.address ?? ""))
        }
        known.sort { $0.id < $1.id }
        let reported = Set(reports.map(\.node))
        var lost: [RecoveryPlan.Node] = []
        for name in names {
            guard let node = known.first(where: { $0.name == name }) else {
                throw .unknownNode(name: name, known: known.map(\.name))
            }
            guard !reported.contains(node.id) else { throw .lostNodeReported(name: name) }
            if !lost.contains(node) { lost.append(node) }
        }
        guard !lost.isEmpty else { throw .nobodyLost }
        self.lost = lost.sorted { $0.id < $1.id }
        survivors = known.filter { reported.contains($0.id) }
        missing = known.filter { node in
            !reported.contains(node.id) && !lost.contains(node)
        }
    }

    /// Every tablet that somebody knows of, the directory first.
    var tablets: [TabletID] {
        let named = directory.tablets.filter { !$0.voters.isEmpty }.map(\.id)
        return Set(named + reports.flatMap { $0.tablets.map(\.tablet) }).sorted()
    }

    func judge(_ id: TabletID) throws(RecoveryError) -> Judgement {
        let held = reports.compactMap { report in
            report.tablet(id).map { (node: report.node, copy: $0) }
        }
        let alive = held.filter { $0.copy.verdict.isWhole }
        // A witness votes, and there is nothing in it that a tablet could begin with (Rule C7).
        let whole = alive.filter { !$0.copy.isWitness }
        // The highest of all: of equal ones the first, so that the choice is always the same.
        guard let chosen = whole.max(by: { ($0.copy.last, $1.node) < ($1.copy.last, $0.node) }),
            let membership = chosen.copy.membership
        else {
            let voters = directory.tablets.first { $0.id == id }?.voters ?? []
            let isLost = voters.isEmpty || lacksMajority(voters, whole: [])
            return isLost ? .hopeless(held.map { reason($0.node, $0.copy) }) : .standsByItself
        }
        let voting = alive.map { $0.copy.member(on: $0.node) }
        guard isStuck(membership, whole: voting) else { return .standsByItself }
        let usable = whole.map { $0.copy.member(on: $0.node) }
        let own = Member(replica: chosen.copy.replica, node: chosen.node)
        let members = membership.members
        let voters = usable.filter { $0 == own || members.contains($0) }.inOrder
        return .recoverable(
            RecoveryPlan.Tablet(
                tablet: id, chosen: own, last: chosen.copy.last,
                term: (held.map { max($0.copy.term, $0.copy.last.term) }.max() ?? .zero).next,
                commit: min(
                    chosen.copy.last.index, whole.map { $0.copy.commit }.max() ?? .zero),
                membership: try configuration(
                    of: id, voters, after: whole.compactMap { $0.copy.membership?.generation }),
                lossStart: whole.map { $0.copy.committedVersion }.max() ?? .zero,
                lastVersion: chosen.copy.lastVersion,
                copies: held.map { copy($0.copy, on: $0.node, beside: chosen.copy) }))
    }

    /// Whether a tablet has lost a voter and nothing can be committed any more: by the majorities of
    /// its configuration, and by what it asks of acknowledgements (Rule C6).
    private func isStuck(_ membership: Membership, whole: [Member]) -> Bool {
        let voters = membership.incoming + membership.outgoing
        guard isStruck(voters) else { return false }
        return !membership.canCommit { replica in
            voters.contains { $0.replica == replica && answers($0, whole: whole) }
        }
    }

    /// The same of voters that only the directory knows of.
    private func lacksMajority(_ voters: [Member], whole: [Member]) -> Bool {
        isStruck(voters) && voters.count { answers($0, whole: whole) } * 2 <= voters.count
    }

    private func isStruck(_ voters: [Member]) -> Bool {
        voters.contains { member in lost.contains { $0.id == member.node } }
    }

    /// A node that is neither lost nor reported is taken for one that comes back as it was.
    private func answers(_ member: Member, whole: [Member]) -> Bool {
        whole.contains(member) || missing.contains { $0.id == member.node }
    }

    /// Under the plain rule of majorities, whatever the policy asks: the survivors may all stand in
    /// one place. The planner asks for the policy's rule again once voters stand elsewhere.
    private func configuration(
        of id: TabletID, _ voters: [Member], after known: [Generation]
    ) throws(RecoveryError) -> Membership {
        let reported = reports.compactMap { report in
            report.directory.tablets.first { $0.id == id }?.configuration
        }
        let highest = (known + reported).max() ?? .first
        do throws(DecodingError) {
            return try Membership(
                incoming: voters,
                generation: Generation(highest.rawValue + SurvivorSurvey.generationStep))
        } catch {
            throw .plannedWithDefect(id, error)
        }
    }

    private func copy(
        _ copy: SurvivorReport.Tablet, on node: NodeID, beside chosen: SurvivorReport.Tablet
    ) -> RecoveryPlan.Copy {
        var cut: ClosedRange<LogIndex>?
        let common = chosen.lastCommonIndex(with: copy)
        if copy.verdict.isWhole, copy != chosen, copy.last.index > common {
            cut = common.next...copy.last.index
        }
        return RecoveryPlan.Copy(
            member: Member(replica: copy.replica, node: node), last: copy.last,
            problem: copy.verdict.isWhole ? "" : reason(node, copy), cut: cut)
    }

    private func reason(_ node: NodeID, _ copy: SurvivorReport.Tablet) -> String {
        let name = survivors.first { $0.id == node }?.name ?? "node \(node)"
        if copy.isWitness { return "a witness on \(name), which has no data" }
        return "\(copy.verdict.name) on \(name): \(copy.verdict.reason)"
    }
}

extension SurvivorReport.Tablet {
    /// Whether the replica has no data, by its own log.
    fileprivate var isWitness: Bool { membership?.isWitness(replica) ?? false }

    fileprivate func member(on node: NodeID) -> Member {
        Member(replica: replica, node: node, isWitness: isWitness)
    }
}
