internal import TenonCore
internal import TenonWire

extension Dispatch {
    /// Why a connection has to be closed by this end.
    private enum Breach: Error {
        case garbage(String)
        case refused(String)
    }

    /// A link's socket is open.
    mutating func connected(_ link: Int, incarnation: Int, at now: Instant) {
        guard links[link].incarnation == incarnation else { return }
        links[link].connected(ClientHello(cluster: cluster, epoch: epoch), at: now)
        effects.flushes.append(link)
        wakeNoLater(than: now + Dispatch.watchInterval)
    }

    /// A link's socket could not be opened, or closed.
    mutating func disconnected(
        _ link: Int, incarnation: Int, _ problem: String, at now: Instant
    ) {
        guard links[link].incarnation == incarnation else { return }
        fail(link, problem, at: now)
    }

    /// Bytes arrived on a link. Whatever is not of the protocol ends the connection.
    mutating func received(_ chunk: [UInt8], on link: Int, incarnation: Int, at now: Instant) {
        guard links[link].incarnation == incarnation else { return }
        links[link].heard(at: now)
        links[link].decoder.append(chunk)
        do {
            while links[link].incarnation == incarnation,
                let frame = try links[link].decoder.next()
            {
                try handle(frame, on: link, at: now)
            }
        } catch let breach as Breach {
            switch breach {
            case .garbage(let what): hangUp(link, "it sent garbage (\(what))", at: now)
            case .refused(let why): hangUp(link, why, at: now)
            }
        } catch {
            hangUp(link, "it sent garbage (\(error))", at: now)
        }
    }

    /// Closes a connection from this end.
    mutating func hangUp(_ link: Int, _ problem: String, at now: Instant) {
        effects.closes.append(link)
        fail(link, problem, at: now)
    }

    /// Calls of a link that is gone are tried elsewhere, those that ask this very node end.
    private mutating func fail(_ link: Int, _ problem: String, at now: Instant) {
        links[link].failed(problem, at: now, pausing: settings.reconnects, &random)
        if let node = links[link].node { routes.forget(leader: node) }
        moveCalls(from: link, at: now)
    }

    /// Takes the calls of a link away from it: the node is gone, or silent for too long.
    mutating func moveCalls(from link: Int, at now: Instant) {
        let complaint =
            links[link].isSuspected
            ? "\(links[link].endpoint) does not answer" : links[link].complaint
        for place in 0..<pending.capacity where pending.isUsed(place) {
            guard pending[place].stage.link == link else { continue }
            let pause =
                pending[place].isSent
                ? pending[place].attempts.lost(complaint, pausing: settings.pauses, &random)
                : pending[place].attempts.unsent(complaint, pausing: settings.pauses, &random)
            if case .node = pending[place].call.route {
                complete(place, .failure(TenonError(.unavailable, .notApplied, complaint)))
            } else {
                rest(place, for: pause, at: now)
            }
        }
    }

    private mutating func handle(_ frame: Frame, on link: Int, at now: Instant) throws {
        switch (frame.kind, links[link].state) {
        case (.goodbye, _):
            links[link].said(goodbye: try Goodbye(from: frame.body).reason)
        case (.serverWelcome, .greeting):
            try welcome(try ServerWelcome(from: frame.body), on: link, at: now)
        case (.answer, .ready):
            try answered(frame.id, try Answer(from: frame.body), on: link, at: now)
        default:
            throw Breach.garbage("a frame of kind \(frame.kind) out of turn")
        }
    }

    private mutating func welcome(
        _ welcome: ServerWelcome, on link: Int, at now: Instant
    ) throws(Breach) {
        guard
            ProtocolRange.current.agreed(
                with: ProtocolRange(oldest: welcome.version, newest: welcome.version)) != nil
        else { throw .refused("it speaks protocol version \(welcome.version) only") }
        guard cluster == .none || welcome.cluster == cluster else {
            throw .refused("it belongs to the cluster \(welcome.cluster), not to \(cluster)")
        }
        guard welcome.epoch >= epoch else {
            throw .refused("its epoch \(welcome.epoch) was ended by a recovery (now \(epoch))")
        }
        cluster = welcome.cluster
        epoch = welcome.epoch
        clock.welcome(welcome.clusterTime, at: now)
        links[link].welcomed(by: welcome.node)
        for place in 0..<pending.capacity where pending.isUsed(place) {
            if pending[place].stage == .queued(link: link) { route(place, at: now) }
        }
    }

    private mutating func answered(
        _ id: RequestID, _ answer: Answer, on link: Int, at now: Instant
    ) throws(Breach) {
        if case .directory(let directory) = answer { install(directory, at: now) }
        // A late answer to a call that has ended.
        guard let place = pending.find(id) else { return }
        guard pending[place].call.accepts(answer) else {
            throw .garbage("an answer of the wrong kind")
        }
        if case .refusal(let refusal) = answer {
            // A refusal of an attempt that was given up says nothing about the one under way.
            if pending[place].stage == .sent(link: link) {
                refused(place, refusal, by: link, at: now)
            }
            return
        }
        if case .outcome(_, let point) = answer { clock.observe(point.version, at: now) }
        if pending[place].isScout, let node = links[link].node,
            let tablet = tablet(of: pending[place].call.route)
        {
            found(leader: node, of: tablet)
        }
        complete(place, .success(answer))
    }

    private mutating func refused(
        _ place: Int, _ refusal: Refusal, by link: Int, at now: Instant
    ) {
        if pending[place].call.mayBeStale, triesNext(place, after: refusal, by: link, at: now) {
            return
        }
        let isLeaderKnown: Bool
        switch refusal.reason {
        case .notLeader:
            isLeaderKnown = learn(refusal.leader, of: pending[place].call.route, from: link)
            // A node that joined since the directory was fetched.
            if refusal.leader != NodeID(0), self.link(of: refusal.leader) == nil,
                now >= nextLookUp
            {
                nextLookUp = now + Dispatch.lookUpInterval
                fetchDirectory(at: now)
            }
        case .unavailable, .staleDescriptor, .wrongEpoch:
            // Cut off, about to hand over, not there any more, or of an ended epoch: all that
            // waits would only be refused like this one. A scout finds out who leads, be it the
            // same node.
            isLeaderKnown = learn(NodeID(0), of: pending[place].call.route, from: link)
        default: isLeaderKnown = false
        }
        let decision = pending[place].attempts.refused(
            refusal, isLeaderKnown: isLeaderKnown, pausing: settings.pauses, &random)
        switch decision {
        case .again: route(place, at: now)
        case .pause(let pause): rest(place, for: pause, at: now)
        case .reroute(let pause):
            rest(place, for: pause, at: now)
            fetchDirectory(at: now)
        case .fail(let error): complete(place, .failure(error))
        }
    }

    /// Notes whom a node named as the leader (0: nobody). Returns whether it can be asked.
    private mutating func learn(
        _ leader: NodeID, of route: Call.Route, from asked: Int
    ) -> Bool {
        guard let tablet = tablet(of: route) else { return false }
        guard leader != NodeID(0), leader != links[asked].node, let link = link(of: leader),
            !links[link].isSuspected
        else {
            // Nobody to ask. The node that was asked is certainly not the leader; what others
            // said of a third one stays.
            if let known = links[asked].node { forget(known, of: tablet) }
            return false
        }
        found(leader: leader, of: tablet)
        return true
    }

    /// What waited for this leader is routed by the next wake, which is due at once.
    private mutating func found(leader: NodeID, of tablet: TabletID) {
        routes.learn(leader: leader, of: tablet)
        hasNewLeaders = true
        nextWake = .zero
    }

    private mutating func forget(_ node: NodeID, of tablet: TabletID) {
        guard let place = routes.place(of: tablet), routes.leader(at: place) == node else { return }
        routes.learn(leader: NodeID(0), of: tablet)
    }

    private func tablet(of route: Call.Route) -> TabletID? {
        switch route {
        case .tablet(let tablet), .part(let tablet, _): return tablet
        case .key(let name, let key):
            guard let keyspace = routes.keyspace(named: name),
                let place = routes.place(in: keyspace, holding: key)
            else { return nil }
            return routes.address(at: place).id
        case .node, .anywhere: return nil
        }
    }
}

extension PendingCall.Stage {
    /// The link it is on.
    var link: Int? {
        switch self {
        case .queued(let link), .sent(let link): link
        case .unrouted, .leaderless, .pausing: nil
        }
    }
}
