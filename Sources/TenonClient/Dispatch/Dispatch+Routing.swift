internal import TenonCore
internal import TenonWire

extension Dispatch {
    /// Where a call goes now.
    private enum Target {
        case link(Int, RequestHeader)
        /// As ``link``, to find out who leads.
        case scout(Int, RequestHeader)
        /// The directory has to be there first.
        case directory
        /// Nobody is known to lead the tablet at this place, and another call is looking.
        case leaderless(place: Int)
        /// No link can be used before the pause ends.
        case pause(String)
        /// As ``pause``, and the directory is asked for meanwhile: it is out of date.
        case stale(String)
        /// The directory names no such keyspace or node: it may be new.
        case unknown(TenonError)
        case failure(TenonError)
        /// The tablet has other bounds than those that the call was cut to.
        case moved
    }

    /// Sends the call at `place` to whom it concerns, or notes what it waits for.
    mutating func route(_ place: Int, at now: Instant) {
        let deadline = pending[place].call.deadline
        pending[place].isScout = false
        switch target(of: place, deadline, at: now) {
        case .link(let link, let header):
            go(place, header, on: link, at: now)
        case .scout(let link, let header):
            pending[place].isScout = true
            go(place, header, on: link, at: now)
        case .directory:
            pending[place].stage = .unrouted
            fetchDirectory(at: now)
        case .leaderless(let tablet):
            pending[place].stage = .leaderless(place: tablet)
            pending[place].attempts.held("nobody is known to lead its tablet")
            wakeNoLater(than: routes.nextScout(at: tablet))
        case .pause(let problem):
            let pause = pending[place].attempts.unsent(problem, pausing: settings.pauses, &random)
            rest(place, for: pause, at: now)
        case .stale(let problem):
            let pause = pending[place].attempts.unsent(problem, pausing: settings.pauses, &random)
            rest(place, for: pause, at: now)
            fetchDirectory(at: now)
        case .unknown(let error):
            guard !pending[place].hasSought else { return complete(place, .failure(error)) }
            pending[place].hasSought = true
            pending[place].stage = .unrouted
            fetchDirectory(at: now)
        case .failure(let error):
            complete(place, .failure(error))
        case .moved:
            let outcome = pending[place].attempts.outcome
            complete(place, .failure(TenonError(.moved, outcome, "the tablet was split")))
        }
    }

    private mutating func go(
        _ place: Int, _ header: RequestHeader, on link: Int, at now: Instant
    ) {
        if links[link].state == .ready {
            send(place, header, on: link, at: now)
        } else {
            pending[place].stage = .queued(link: link)
            open(link, at: now)
        }
    }

    /// Lets the call at `place` wait.
    mutating func rest(_ place: Int, for pause: TimeSpan, at now: Instant) {
        pending[place].stage = .pausing(until: now + pause)
        wakeNoLater(than: now + pause)
    }

    /// Asks for the directory, unless that is under way.
    mutating func fetchDirectory(at now: Instant) {
        guard directoryCall == nil else { return }
        let call = Call(
            work: .ask(.describe), route: .anywhere, deadline: now + Dispatch.directoryTimeout)
        let id = insert(call, owner: .directory)
        directoryCall = id
        route(SlotMap<PendingCall>.place(of: id), at: now)
    }

    /// The question for the directory ended.
    mutating func directoryEnded(_ result: CallResult) {
        directoryCall = nil
        switch result {
        case .success: break  // installed as it came
        case .failure(let error) where error.kind == .unavailable:
            // The calls that wait for it ask again, up to their own deadlines.
            nextWake = .zero
        case .failure(let error):
            for place in unroutedCalls() { complete(place, .failure(error)) }
        }
    }

    /// Asks for the directory when the one that is known has served its time.
    mutating func refreshDirectory(at now: Instant) {
        if now >= nextRefresh {
            setRefresh(at: now)
            fetchDirectory(at: now)
        }
        wakeNoLater(than: nextRefresh)
    }

    private mutating func setRefresh(at now: Instant) {
        let tablets = routes.directory?.tablets.count ?? 0
        nextRefresh =
            now + settings.pauses.jittered(Dispatch.refreshInterval, &random)
            + settings.pauses.jittered(Dispatch.refreshIntervalOfTablet * tablets, &random)
    }

    /// Takes a directory over and makes links to the nodes it names. One that is older than what is
    /// known comes from a node that is cut off, or has just joined, and is of no use.
    mutating func install(_ directory: Directory, at now: Instant) {
        // What waited for a directory is routed by the next wake, which is due at once.
        hasNewLeaders = true
        nextWake = .zero
        if let known = routes.directory, directory.isOlder(than: known) { return }
        adopt(directory)
        setRefresh(at: now)
    }

    private mutating func adopt(_ directory: Directory) {
        routes.install(directory, near: settings.locality)
        effects.hasNewDirectory = true
        for link in links.indices { links[link].isMember = false }
        for node in directory.nodes {
            // A node whose address this client cannot read is of no use to it.
            guard let endpoint = try? Endpoint(node.address) else { continue }
            let known =
                links.firstIndex { $0.node == node.id }
                ?? links.firstIndex { $0.node == nil && $0.endpoint == endpoint }
            let link = known ?? links.count
            if known == nil { links.append(Link(endpoint: endpoint)) }
            links[link].node = node.id
            links[link].isMember = true
        }
    }

    /// The places of the calls that wait for a directory.
    func unroutedCalls() -> [Int] {
        (0..<pending.capacity).filter { pending.isUsed($0) && pending[$0].stage == .unrouted }
    }

    /// Opens a link, unless that is under way.
    private mutating func open(_ link: Int, at now: Instant) {
        guard links[link].wanted(at: now) else { return }
        effects.connects.append(link)
        wakeNoLater(than: now + Dispatch.watchInterval)
    }

    private mutating func target(
        of call: Int, _ deadline: Instant, at now: Instant
    ) -> Target {
        switch pending[call].call.route {
        case .key(let name, let key):
            guard routes.directory != nil else { return .directory }
            guard let keyspace = routes.keyspace(named: name) else {
                return .unknown(noKeyspace(name))
            }
            guard let place = routes.place(in: keyspace, holding: key) else {
                return .stale("no tablet holds the key")
            }
            return holder(at: place, of: call, deadline, now)
        case .tablet(let tablet):
            guard routes.directory != nil else { return .directory }
            guard let place = routes.place(of: tablet) else {
                return .failure(
                    TenonError(.invalid, .notApplied, "there is no tablet \(tablet)"))
            }
            return leader(at: place, deadline, now)
        case .part(let tablet, let generation):
            guard routes.directory != nil else { return .directory }
            guard let place = routes.place(of: tablet),
                routes.address(at: place).generation == generation
            else { return .moved }
            return holder(at: place, of: call, deadline, now)
        case .node(let node):
            guard routes.directory != nil else { return .directory }
            return only(node, deadline, now)
        case .anywhere:
            guard let link = anyLink(at: now) else { return .pause(reachingNobody) }
            return .link(link, header(deadline, tablet: nil, now))
        }
    }

    /// The nearest replica of a tablet where that will do, else its leader.
    private mutating func holder(
        at place: Int, of call: Int, _ deadline: Instant, _ now: Instant
    ) -> Target {
        if pending[call].call.mayBeStale, let link = nearest(at: place, for: call, at: now) {
            return .link(link, header(deadline, tablet: place, now))
        }
        return leader(at: place, deadline, now)
    }

    /// The leader of a tablet, or any node when the leader is not known or not reachable: a node
    /// that does not lead says who does. One call at a time asks so, the others wait for it.
    private mutating func leader(
        at place: Int, _ deadline: Instant, _ now: Instant
    ) -> Target {
        if let node = routes.leader(at: place), let link = link(of: node),
            links[link].isUsable(at: now), !links[link].isSuspected
        {
            return .link(link, header(deadline, tablet: place, now))
        }
        guard routes.takeScout(at: place, now) else { return .leaderless(place: place) }
        guard let link = anyLink(at: now) else { return .pause(reachingNobody) }
        return .scout(link, header(deadline, tablet: place, now))
    }

    private func only(_ node: NodeID, _ deadline: Instant, _ now: Instant) -> Target {
        guard let link = link(of: node) else {
            return .unknown(TenonError(.invalid, .notApplied, "there is no node \(node)"))
        }
        guard links[link].isUsable(at: now) else {
            return .failure(TenonError(.unavailable, .notApplied, links[link].complaint))
        }
        return .link(link, header(deadline, tablet: nil, now))
    }

    /// The link to a node: the directory's members first.
    func link(of node: NodeID) -> Int? {
        links.firstIndex { $0.node == node && $0.isMember } ?? links.firstIndex { $0.node == node }
    }

    /// The next usable link in turn: members and those that answer are preferred.
    private mutating func anyLink(at now: Instant) -> Int? {
        cursor = (cursor + 1) % links.count
        var best: Int?
        var bestRank = 0
        for step in links.indices {
            let place = (cursor + step) % links.count
            guard links[place].isUsable(at: now) else { continue }
            let rank =
                1 + (links[place].isMember ? 4 : 0) + (links[place].isSuspected ? 0 : 2)
                + (links[place].isOpening ? 0 : 1)
            if rank > bestRank {
                best = place
                bestRank = rank
            }
        }
        return best
    }

    private func header(
        _ deadline: Instant, tablet place: Int?, _ now: Instant
    ) -> RequestHeader {
        let left = deadline.since(now).wholeMilliseconds
        let timeout = UInt32(min(max(left, 1), Int(UInt32.max)))
        guard let place else {
            return RequestHeader(
                epoch: epoch, timeoutMilliseconds: timeout, tablet: .directory,
                generation: .first)
        }
        let tablet = routes.address(at: place)
        return RequestHeader(
            epoch: epoch, timeoutMilliseconds: timeout, keyspace: tablet.keyspace,
            tablet: tablet.id, generation: tablet.generation)
    }

    private func noKeyspace(_ name: String) -> TenonError {
        let names = (routes.directory?.keyspaces ?? []).prefix(10).map(\.name)
        return TenonError(
            .invalid, .notApplied,
            "there is no keyspace \"\(name)\"; there is \(names.joined(separator: ", "))")
    }

    /// What keeps the client from every node, for a message.
    var reachingNobody: String {
        let complaints = links.prefix(5).map(\.complaint)
        return "no node answers: " + complaints.joined(separator: "; ")
    }
}

extension Directory {
    /// Whether it says what was so before the other one. After a recovery by an operator versions
    /// may begin lower than they were.
    fileprivate func isOlder(than other: Directory) -> Bool {
        (epoch, version) < (other.epoch, other.version)
    }
}

extension Link {
    /// The endpoint and what is wrong with it, for a message.
    var complaint: String { problem.isEmpty ? "\(endpoint)" : "\(endpoint): \(problem)" }

    /// Whether a connection is on its way but not there.
    var isOpening: Bool {
        switch state {
        case .connecting, .greeting: true
        case .idle, .ready, .resting: false
        }
    }
}
