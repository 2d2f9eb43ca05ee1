package import TenonCore
import TenonKV
import TenonRaft
package import TenonWire

extension Node {
    /// A client connected and said hello.
    package func clientOpened(_ connection: ConnectionID, hello: ClientHello, now: Instant) {
        let client = ClientConnection(id: connection)
        clients[connection] = client
        counters.clientConnections = UInt64(clients.count)
        if let reason = refusal(of: hello) {
            touch(client, client.send(.goodbye) { Goodbye(reason: reason).encode(to: &$0) })
            effects.clientsToClose.append((connection, reason))
            return
        }
        let welcome = ServerWelcome(
            version: ProtocolRange.current.newest, cluster: formation.cluster ?? .none,
            node: id, epoch: identity.epoch, clusterTime: Timestamp(clock.timeForClients(at: now)))
        touch(client, client.send(.serverWelcome) { welcome.encode(to: &$0) })
    }

    private func refusal(of hello: ClientHello) -> String? {
        guard hello.versions.agreed(with: .current) != nil else {
            return "no common protocol version: this node speaks "
                + "\(ProtocolRange.current.oldest) to \(ProtocolRange.current.newest)"
        }
        if let cluster = formation.cluster, hello.cluster != .none, hello.cluster != cluster {
            return "this is cluster \(cluster), not \(hello.cluster): check the endpoints"
        }
        if hello.epoch > identity.epoch, !isPlanted(.epochFenceOff) {
            return "this node is of epoch \(identity.epoch), below \(hello.epoch): it was cut off"
        }
        return nil
    }

    /// A client's connection is gone.
    package func clientClosed(_ connection: ConnectionID) {
        clients.removeValue(forKey: connection)?.close()
        counters.clientConnections = UInt64(clients.count)
    }

    private func touch(_ client: ClientConnection, _ isFirst: Bool) {
        if isFirst { touchedClients.append(client) }
    }

    /// A request arrived. What cannot be read ends the connection: there is no telling what else
    /// the client got wrong.
    package func received(_ frame: Frame, from connection: ConnectionID, now: Instant) {
        guard let client = clients[connection] else { return }
        counters.requests += 1
        do {
            guard frame.kind == .request else {
                throw DecodingError.unknownKind(
                    field: "frame of a client", value: UInt64(frame.kind.rawValue))
            }
            client.began()
            let waiter = WriteWaiter(connection: client, request: frame.id)
            guard client.waiting <= configuration.requestsPerConnectionMax else {
                return answer(waiter, .refusal(Node.tooManyRequests))
            }
            try dispatch(try Request(from: frame.body), waiter, now: now)
        } catch {
            let reason = "malformed request: \(error)"
            touch(client, client.send(.goodbye) { Goodbye(reason: reason).encode(to: &$0) })
            effects.clientsToClose.append((connection, reason))
        }
    }

    private static let tooManyRequests = Refusal(
        .overloaded, "too many requests of this connection wait for an answer",
        retryAfterMilliseconds: 20)

    func answer(_ waiter: WriteWaiter, _ answer: Answer) {
        touch(waiter.connection, waiter.connection.answer(waiter.request, answer))
    }

    private func dispatch(
        _ request: Request, _ waiter: WriteWaiter, now: Instant
    ) throws(DecodingError) {
        switch request.body {
        case .describe: return answer(waiter, .directory(describe()))
        case .status: return answer(waiter, .status(status(now: now)))
        case .injectFault, .clearFaults: return answer(waiter, .refusal(Node.faultsDenied))
        case .acceptClock:
            acceptClock(now: now)
            return answer(waiter, .done)
        default: break
        }
        if let refusal = refusal(of: request.header) {
            return answer(waiter, .refusal(refusal))
        }
        guard let tablet = tablet(request.header.tablet) else {
            return answer(waiter, .refusal(missing(request.header.tablet)))
        }
        perform(request, on: tablet, waiter, now: now, into: &tablet.gathered)
    }

    /// The edge takes these orders before they come here, if it takes them at all.
    private static let faultsDenied = Refusal(
        .denied,
        "this node takes no orders to be faulty: for a test start it with "
            + "`tenon serve --enable-fault-injection`")

    private func refusal(of header: RequestHeader) -> Refusal? {
        guard isFormed else {
            return Refusal(
                .unavailable, "the cluster is not formed yet: all its nodes must be up once",
                retryAfterMilliseconds: 100)
        }
        guard header.epoch == identity.epoch || isPlanted(.epochFenceOff) else {
            return Refusal(
                .wrongEpoch, "this node is of epoch \(identity.epoch), not \(header.epoch)")
        }
        return nil
    }

    private func missing(_ tablet: TabletID) -> Refusal {
        if let reason = damagedTablets[tablet] {
            return Refusal(.unavailable, "tablet \(tablet) is quarantined here: \(reason)")
        }
        return Refusal(.staleDescriptor, "tablet \(tablet) is not here")
    }

    /// Whether the request was routed by what the tablet is not (any more).
    private func routingRefusal(of header: RequestHeader, for tablet: Tablet) -> Refusal? {
        guard header.generation == tablet.generation else {
            return Refusal(
                .staleDescriptor, "tablet \(tablet.id) is of generation \(tablet.generation)")
        }
        guard header.keyspace == tablet.record.keyspace || tablet.id == .directory else {
            return Refusal(
                .staleDescriptor,
                "tablet \(tablet.id) is of keyspace \(tablet.record.keyspace)")
        }
        return nil
    }

    private static let directoryIsNotWritten = Refusal(
        .denied, "the directory is changed by orders only: see tenon node, keyspace, tablet")

    private func perform(
        _ request: Request, on tablet: Tablet, _ waiter: WriteWaiter, now: Instant,
        into output: inout TabletOutput
    ) {
        if let refusal = routingRefusal(of: request.header, for: tablet) {
            return tablet.answer(waiter, .refusal(refusal), into: &output)
        }
        let timeout = TimeSpan.milliseconds(Int(request.header.timeoutMilliseconds))
        switch request.body {
        case .write where tablet.id == .directory:
            tablet.answer(waiter, .refusal(Node.directoryIsNotWritten), into: &output)
        case .direct(let order): direct(order, on: tablet, waiter, into: &output)
        case .write(let command):
            write(command, on: tablet, waiter, into: &output)
        case .get(let key, let at, let staleness):
            tablet.read(
                PendingRead(waiter, .get(key, at: at), staleness, now + timeout), now: now,
                into: &output)
        case .getMany(let keys, let at, let staleness):
            tablet.read(
                PendingRead(waiter, .getMany(keys, at: at), staleness, now + timeout), now: now,
                into: &output)
        case .scan(let scan):
            tablet.read(
                PendingRead(waiter, .scan(scan), scan.staleness, now + timeout), now: now,
                into: &output)
        case .transferLeadership(let node):
            transfer(tablet, to: node, waiter, now: now, into: &output)
        case .contentDigest:
            let isProposed = tablet.proposeUpkeep(.contentDigest) != nil
            tablet.answer(waiter, isProposed ? .done : .refusal(tablet.notProposed), into: &output)
        case .describe, .status, .injectFault, .clearFaults, .acceptClock:
            preconditionFailure("answered without a tablet")
        }
    }

    private func write(
        _ command: Bytes, on tablet: Tablet, _ waiter: WriteWaiter,
        into output: inout TabletOutput
    ) {
        do {
            let checked = try StateMachine.validate(command, bounds: tablet.machine.bounds)
            if let refusal = roomRefusal(of: command, on: tablet) {
                return tablet.answer(waiter, .refusal(refusal), into: &output)
            }
            bytesTaken += command.count
            tablet.write(command, reading: checked.keysRead, for: waiter, into: &output)
        } catch {
            tablet.answer(waiter, .refusal(Refusal(error)), into: &output)
        }
    }

    /// Without room in the logs only what frees space is taken (Rule L6).
    private func roomRefusal(of command: Bytes, on tablet: Tablet) -> Refusal? {
        guard tablet.raft.role == .leader, !Command.isDelete(command) else { return nil }
        noteLogRoom()
        switch tablet.raft.room {
        case .here: return nil
        case .elsewhere: return Node.roomElsewhere
        case .nowhere: return Tablet.diskFull
        }
    }

    private static let roomElsewhere = Refusal(
        .unavailable, "the log of this node is full: a node that has room is about to lead",
        retryAfterMilliseconds: 50)

    private func transfer(
        _ tablet: Tablet, to node: NodeID, _ waiter: WriteWaiter, now: Instant,
        into output: inout TabletOutput
    ) {
        guard tablet.servesAsLeader else {
            return tablet.answer(waiter, .refusal(tablet.notServing), into: &output)
        }
        guard let target = tablet.raft.membership.incoming.first(where: { $0.node == node }) else {
            let refusal = Refusal(.invalid, "node \(node) has no voter of tablet \(tablet.id)")
            return tablet.answer(waiter, .refusal(refusal), into: &output)
        }
        do {
            try tablet.raft.transferLeadership(to: target.replica, now: now)
            tablet.answer(waiter, .done, into: &output)
        } catch {
            tablet.answer(
                waiter,
                .refusal(
                    Refusal(
                        .unavailable,
                        "node \(node) cannot take over tablet \(tablet.id): \(error)",
                        retryAfterMilliseconds: 50)),
                into: &output)
        }
    }
}
