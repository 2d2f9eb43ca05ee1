import TenonCore
import TenonPlacement
import TenonWire

/// What a keyspace's policy comes to, by where its voters stand now: computed, not believed.
struct Explanation {
    /// Tablets with the same home, voters and leader.
    struct Part {
        var tablets: [TabletID]
        let home: String?
        /// Nil while it is not known.
        let leader: Topology.Node?
        let voters: [Topology.Node]
        /// Those of them that have no data (Rule C7).
        let witnesses: [NodeID]
        let learners: [Topology.Node]
        /// Where a read that may be stale is served, by city of the client.
        let localReads: [LocalRead]
        /// Every loss up to the goal that takes a voter.
        let losses: [Loss]
        /// What no goal of this keyspace covers, and what it would do.
        let beyond: [Loss]
        /// The round trip that a commit waits for; nil when it is not measured.
        let commit: CommitPath?
        /// What commits need beside a majority (Rule C6), as the tablet's own log says.
        let acknowledgement: AcknowledgementRule
        /// Its voters that are not there, as `n5 has no replica yet`.
        let missing: [String]
        let isWhole: Bool
        let isKnown: Bool
    }

    /// The voter whose answer completes a majority, when all are well.
    struct CommitPath: Hashable {
        let node: Topology.Node
        let roundTripMicroseconds: UInt64
    }

    let keyspace: Directory.Keyspace
    let parts: [Part]
    let down: [Topology.Node]
    private let problems: [String]

    /// - Parameter roundTrips: from a node to others, as it measured them, in microseconds.
    init(
        _ keyspace: Directory.Keyspace, in directory: Directory, down: Set<NodeID>,
        missing: MissingReplicas = MissingReplicas(),
        roundTrips: (NodeID) -> [NodeID: UInt64]
    ) {
        self.keyspace = keyspace
        var problems: [String] = []
        let topology = Topology(directory, problems: &problems)
        self.problems = problems
        self.down = topology.nodes.filter { down.contains($0.id) }
        var parts: [Part] = []
        let wanted = directory.votersWanted(keyspace.replicas)
        for tablet in directory.tablets
        where tablet.keyspace == keyspace.id && !tablet.voters.isEmpty {
            let part = Part(
                tablet, keyspace.policy, wanted, topology, down, missing.voters(of: tablet.id),
                roundTrips)
            if let last = parts.last, last.isLike(part) {
                parts[parts.count - 1].tablets.append(tablet.id)
            } else {
                parts.append(part)
            }
        }
        self.parts = parts
    }

    /// What the policy asks and is not so.
    var risks: [String] {
        parts.flatMap { part -> [String] in
            var risks: [String] = []
            if !part.isWhole { risks.append("tablet \(part.name) has fewer voters than it should") }
            risks += part.missing.map { "tablet \(part.name): its voter on \($0)" }
            if !part.isKnown {
                risks.append(
                    "tablet \(part.name): the \(keyspace.policy.survive.name) of some voter is not "
                        + "known")
            }
            if part.acknowledgement.isWeaker(than: keyspace.policy.acknowledgement) {
                risks.append(
                    "tablet \(part.name) acknowledges by \(part.acknowledgement.name), not by "
                        + "\(keyspace.policy.acknowledgement.name) yet")
            }
            if keyspace.policy.localReadsWithin != nil { risks += part.localReadRisks }
            let bad = part.losses.filter { $0.verdict != .byItself && keyspace.replicas >= 3 }
            return risks
                + bad.map { loss in
                    "tablet \(part.name) would not survive the loss of \(loss.domain): "
                        + loss.leftText
                }
        }
    }

    /// What is not as it should be and harms nothing.
    var notes: [String] {
        let away = parts.compactMap { part -> String? in
            guard let home = part.home, let leader = part.leader else { return nil }
            let city = leader.locality.name(at: "city") ?? "an unknown city"
            return city == home
                ? nil : "tablet \(part.name) is led from \(city), its home is \(home)"
        }
        let lost =
            down.isEmpty
            ? [] : ["do not answer, counted as lost: \(down.map(\.name).joined(separator: ", "))"]
        return problems + lost + away
    }
}

extension Explanation.Part {
    fileprivate init(
        _ tablet: TabletDescriptor, _ policy: PlacementPolicy, _ wanted: Int,
        _ topology: Topology, _ down: Set<NodeID>, _ missing: [MissingReplicas.Voter],
        _ roundTrips: (NodeID) -> [NodeID: UInt64]
    ) {
        let down = down.union(missing.map(\.node))
        tablets = [tablet.id]
        home = policy.home(from: tablet.lower, to: tablet.upper)?.city
        leader = topology.node(tablet.leader)
        voters = tablet.voters.compactMap { topology.node($0.node) }
        learners = tablet.learners.compactMap { topology.node($0.node) }
        let copies = voters.filter { !tablet.witnesses.contains($0.id) }
        localReads = Explanation.LocalRead.all(copies, learners, leader, down, in: topology)
        witnesses = tablet.witnesses
        acknowledgement = tablet.acknowledgement.rule
        let survival = Survival(
            voters: tablet.voters.map(\.node), witnesses: witnesses, keptUntil: policy.survive,
            acknowledgement: acknowledgement, down: down, in: topology)
        let goals = FailureLevel.allCases.filter { $0 <= policy.survive }
        losses = goals.flatMap { survival.losses(at: $0) }
        isKnown = goals.allSatisfy { survival.worstLoss(at: $0) != nil }
        self.missing = missing.map { voter in
            "\(topology.node(voter.node)?.name ?? "node \(voter.node)") \(voter.reason)"
        }
        isWhole = tablet.voters.count >= wanted
        let above = FailureLevel.allCases.filter { $0 > policy.survive }
        beyond = above.compactMap { level in
            survival.worstLoss(at: level).flatMap { $0.verdict == .byItself ? nil : $0 }
        }
        commit = Explanation.CommitPath(
            survival, leader, voters, roundTrips(tablet.leader), in: topology)
    }

    fileprivate func isLike(_ other: Explanation.Part) -> Bool {
        home == other.home && leader == other.leader && voters == other.voters
            && learners == other.learners && witnesses == other.witnesses
            && acknowledgement == other.acknowledgement && missing == other.missing
    }

    /// `4` or `4-9`.
    var name: String {
        guard let first = tablets.first, let last = tablets.last, first != last else {
            return tablets.first.map { "\($0)" } ?? "-"
        }
        return "\(first)-\(last)"
    }
}

extension Explanation.CommitPath {
    /// Nil when it is not measured, or nobody has to answer.
    fileprivate init?(
        _ survival: Survival, _ leader: Topology.Node?, _ voters: [Topology.Node],
        _ times: [NodeID: UInt64], in topology: Topology
    ) {
        // All but the leader itself have to answer, as many as a majority lacks, and with such a
        // rule one that stands elsewhere.
        let others = survival.majority - 1
        let answers = voters.compactMap { voter in
            times[voter.id].flatMap { time in
                time == 0 || survival.down.contains(voter.id)
                    ? nil : Explanation.CommitPath(node: voter, roundTripMicroseconds: time)
            }
        }.sorted {
            ($0.roundTripMicroseconds, $0.node.id) < ($1.roundTripMicroseconds, $1.node.id)
        }
        guard others > 0, answers.count >= others else { return nil }
        let majority = answers[others - 1]
        guard let level = survival.acknowledgement.level else {
            self = majority
            return
        }
        let own = leader?.domain(at: level)
        let elsewhere = answers.first { answer in
            // A witness has no data, and its answer is not one from elsewhere.
            !survival.witnesses.contains(answer.node.id)
                && answer.node.domain(at: level).map { $0 != own } ?? false
        }
        guard let elsewhere else { return nil }
        let isLater = elsewhere.roundTripMicroseconds > majority.roundTripMicroseconds
        self = isLater ? elsewhere : majority
    }
}

extension AcknowledgementRule {
    /// Whether it promises less than `other`.
    func isWeaker(than other: AcknowledgementRule) -> Bool { rawValue < other.rawValue }
}

extension Loss {
    /// What is left, against what is needed.
    var leftText: String {
        switch verdict {
        case .whenElsewhereAnswers: "voters of one place only, and writes need another"
        case .gone where !left.isEmpty: "a witness only, and no copy"
        case .byOperator where left.count >= majority:
            "a majority whose witness may have dropped what no copy left has"
        default: "\(left.count) of \(majority) voters that it needs"
        }
    }
}

extension Explanation {
    /// For a person.
    var text: String {
        let head = "\(keyspace.name): \(keyspace.policy.text) --replicas \(keyspace.replicas)"
        return
            ([head] + parts.map(text) + notes.map { "note: \($0)" }
            + risks.map { "AT RISK: \($0)" }).joined(separator: "\n")
    }

    private func text(_ part: Part) -> String {
        let voters = part.voters.map { voter in
            "\(voter.name) (\(voter.locality)"
                + (part.witnesses.contains(voter.id) ? "; witness)" : ")")
        }.joined(separator: ", ")
        var lines = [
            "tablet \(part.name), home \(part.home ?? "anywhere"), led by "
                + (part.leader?.name ?? "nobody known"),
            "  voters    \(voters)",
        ]
        lines += localReadLines(part)
        if let commit = part.commit {
            let milliseconds = JSON.decimal(Double(commit.roundTripMicroseconds) / 1_000, digits: 3)
            lines.append(
                "  commits   with the answer of \(commit.node.name), \(milliseconds.text) ms there "
                    + "and back, and a sync")
        }
        if !part.witnesses.isEmpty { lines += Explanation.witnessText }
        if let level = part.acknowledgement.level { lines += consequences(at: level) }
        for loss in part.losses { lines.append("  survives  " + text(loss, part)) }
        for loss in part.beyond { lines.append("  not       " + text(loss, part)) }
        return lines.joined(separator: "\n")
    }

    /// What a witness does, and does not (Rule C7).
    private static let witnessText = [
        "  witness   counts for majorities, not as a copy: it keeps the log until copies in two places",
        "            have it, serves nothing, and leads only to bring a copy up to date",
    ]

    /// Who has to act before anybody serves: the newest entries may be in its log only.
    private func carriersText(_ loss: Loss, _ part: Part) -> String {
        let names = part.voters.filter { loss.carriers.contains($0.id) }.map(\.name)
        guard !names.isEmpty, loss.verdict < .byOperator else { return "" }
        return "; the newest entries may be in the log of witness "
            + "\(names.joined(separator: ", ")) only, which first brings a copy up to date"
    }

    /// What an acknowledgement from elsewhere costs (Rule C6).
    private func consequences(at level: FailureLevel) -> [String] {
        let places = level == .dc ? "two rooms" : "two cities"
        return [
            "  ack       a write is acknowledged when voters of \(places) have it",
            "            when no voter elsewhere answers, writes stop;",
            "            after a change of leader linearizable reads stop, too, until one answers",
        ]
    }

    private func text(_ loss: Loss, _ part: Part) -> String {
        let left = part.voters.filter { loss.left.contains($0.id) }.map(\.name)
        return
            "\(loss.domain) lost: \(left.joined(separator: ", ")) left, \(loss.majority) needed: "
            + loss.verdict.name
            + (loss.verdict == .byOperator && !loss.mayLoseEntries ? ", no entry lost" : "")
            + carriersText(loss, part)
    }

    /// For scripts.
    var json: JSON {
        .object(
            [
                .init("keyspace", .string(keyspace.name)),
                .init("replicas", .integer(keyspace.replicas)),
            ] + keyspace.policy.json + [
                .init("parts", .array(parts.map(json))),
                .init("notes", .array(notes.map { .string($0) })),
                .init("risks", .array(risks.map { .string($0) })),
            ])
    }

    private func json(_ part: Part) -> JSON {
        [
            "tablets": .array(part.tablets.map { .integer($0.rawValue) }),
            "home": part.home.map { .string($0) } ?? .null,
            "leader": part.leader.map { .string($0.name) } ?? .null,
            "voters": .array(
                part.voters.map {
                    [
                        "name": .string($0.name), "locality": .string($0.locality.description),
                        "witness": .bool(part.witnesses.contains($0.id)),
                    ]
                }),
            "commit": part.commit.map { commit in
                [
                    "node": .string(commit.node.name),
                    "roundTripMicros": .integer(commit.roundTripMicroseconds),
                ]
            } ?? .null,
            "ack": .string(part.acknowledgement.name),
            "learners": .array(
                part.learners.map {
                    ["name": .string($0.name), "locality": .string($0.locality.description)]
                }),
            "localReads": .array(part.localReads.map(\.json)),
            "losses": .array(part.losses.map { json($0, part) }),
            "beyond": .array(part.beyond.map { json($0, part) }),
        ]
    }

    private func json(_ loss: Loss, _ part: Part) -> JSON {
        let left = part.voters.filter { loss.left.contains($0.id) }.map { JSON.string($0.name) }
        return [
            "level": .string(loss.domain.level.name), "name": .string(loss.domain.name),
            "left": .array(left), "majority": .integer(loss.majority),
            "survives": .string(loss.verdict.name), "mayLoseEntries": .bool(loss.mayLoseEntries),
            "broughtUpToDateBy": .array(
                part.voters.filter { loss.carriers.contains($0.id) }.map { .string($0.name) }),
        ]
    }
}
