// Makes the streams, consumers and buckets of this version on NATS, as the operator. See scripts/topology.
import { Type } from 'typebox'
import { loadConfig } from '../services/common/config.ts'
import { connectNats, NatsConfig, natsOf } from '../services/common/connect.ts'
import { ensureTopology } from '../services/common/topology.ts'

const config = loadConfig(Type.Object({ ...NatsConfig, NATS_REPLICAS: Type.Optional(Type.Integer({ minimum: 1, maximum: 5 })) }), process.env)
const connection = await connectNats(natsOf(config), 'operator')
await ensureTopology(connection, config.NATS_REPLICAS)
await connection.close()
console.log('The streams, consumers and buckets of this version are there.')
