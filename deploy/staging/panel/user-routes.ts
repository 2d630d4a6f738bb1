import { sameText } from './collation.ts'
import { displayException, invalid, notFound, unexpected } from './errors.ts'
import { READ, WRITE } from './keys.ts'
import { hashPassword, randomPassword } from './passwords.ts'
import { pause } from './pause.ts'
import { paginate, partial, select } from './query.ts'
import { includesOf } from './transformers.ts'
import { failuresOf, isTrue, lookUp } from './validation.ts'
import type { PanelContext } from './context.ts'
import type { Fields } from './json.ts'
import type { Route } from './routing.ts'
import type { State, User } from './state.ts'
import type { FieldRules } from './validation.ts'

export function userRoutes ({ state, knobs, transform }: PanelContext): Route[] {
  return [
    {
      method: 'GET', pattern: '/users', resource: 'users', permission: READ,
      handle ({ query, url, key }) {
        const found = select(state.users.values(), query, {
          email: partial<User>(user => user.email),
          uuid: partial<User>(user => user.uuid),
          username: partial<User>(user => user.username),
          external_id: partial<User>(user => user.externalId)
        }, { id: user => user.id, uuid: user => user.uuid })
        const { rows, pagination } = paginate(found, query, url)
        return { status: 200, body: { object: 'list', data: rows.map(user => transform.user(user, includesOf(query), key)), meta: { pagination } } }
      }
    },
    {
      method: 'POST', pattern: '/users', resource: 'users', permission: WRITE,
      async handle ({ body, origin, query, key }) {
        const rules = userRules(state)
        const failures = failuresOf(body, rules)
        if (failures.length > 0) throw invalid(failures)
        const wanted = columnsOf(body)
        const passwordHash = hashPassword(wanted.password ?? randomPassword())
        await pause(knobs.passwordHashMs + knobs.raceWindowMs)
        if (failuresOf(body, rules).length > 0) throw unexpected('DataValidationException')
        await pause(knobs.insertWindowMs)
        if (isHeld(state, wanted)) throw unexpected('UniqueConstraintViolationException')
        const time = Date.now()
        const user: User = {
          id: state.nextId('users'), externalId: wanted.externalId ?? null, uuid: state.newUuid(), username: wanted.username, email: wanted.email,
          firstName: wanted.firstName, lastName: wanted.lastName, language: wanted.language ?? 'en', rootAdmin: wanted.rootAdmin ?? false,
          passwordHash, createdAt: time, updatedAt: time
        }
        state.users.set(user.id, user)
        state.commit()
        // The mail is queued after the commit, so its failure is an error about something that exists.
        if (knobs.mailFault) throw unexpected('TransportException')
        return {
          status: 201, committed: 'userCreate',
          body: { ...transform.user(user, includesOf(query), key), meta: { resource: `${origin}/api/application/users/${user.id}` } }
        }
      }
    },
    {
      method: 'GET', pattern: '/users/external/{external}', resource: 'users', permission: READ,
      handle ({ bound, query, key }) {
        const user = state.userBy(one => sameText(one.externalId, bound.text))
        if (user === undefined) throw notFound()
        return { status: 200, body: transform.user(user, includesOf(query), key) }
      }
    },
    {
      method: 'GET', pattern: '/users/{user}', resource: 'users', permission: READ,
      handle: ({ bound, query, key }) => ({ status: 200, body: transform.user(bound.user, includesOf(query), key) })
    },
    {
      method: 'PATCH', pattern: '/users/{user}', resource: 'users', permission: WRITE,
      async handle ({ bound: { user }, body, query, key }) {
        const failures = failuresOf(body, userRules(state, user))
        if (failures.length > 0) throw invalid(failures)
        const wanted = columnsOf(body)
        if (wanted.password !== undefined) await pause(knobs.passwordHashMs)
        if (isHeld(state, wanted, user)) throw unexpected('UniqueConstraintViolationException')
        Object.assign(user, {
          username: wanted.username,
          email: wanted.email,
          firstName: wanted.firstName,
          lastName: wanted.lastName,
          externalId: wanted.externalId === undefined ? user.externalId : wanted.externalId,
          language: wanted.language ?? user.language,
          rootAdmin: wanted.rootAdmin ?? user.rootAdmin,
          passwordHash: wanted.password === undefined ? user.passwordHash : hashPassword(wanted.password),
          updatedAt: Date.now()
        })
        state.commit()
        return { status: 200, body: transform.user(user, includesOf(query), key), committed: 'userUpdate' }
      }
    },
    {
      method: 'DELETE', pattern: '/users/{user}', resource: 'users', permission: WRITE,
      handle ({ bound: { user } }) {
        if (state.serverBy(server => server.ownerId === user.id) !== undefined) {
          throw displayException('Cannot delete a user with active servers attached to their account. Please delete their servers before continuing.')
        }
        state.users.delete(user.id)
        state.commit()
        return { status: 204, committed: 'userDelete' }
      }
    }
  ]
}

/** Those of the panel's User model, in the order its answers have. `self` may keep what it has. */
function userRules (state: State, self?: User): FieldRules[] {
  const free = (column: 'email' | 'username' | 'externalId') => ({
    rule: 'unique' as const, holds: (value: unknown) => state.userBy(user => user !== self && sameText(user[column], String(value))) === undefined
  })
  return [
    { field: 'email', rules: 'required|email|between:1,191', table: free('email') },
    { field: 'external_id', label: 'Third Party Identifier', rules: 'sometimes|nullable|string|max:191', table: free('externalId') },
    { field: 'username', rules: 'required|between:1,191|p_username', table: free('username') },
    { field: 'password', rules: 'sometimes|nullable|string' },
    { field: 'root_admin', label: 'Root Administrator Status', rules: 'boolean' },
    { field: 'language', rules: 'string|in:en' },
    { field: 'first_name', rules: 'required|string|between:1,191' },
    { field: 'last_name', rules: 'required|string|between:1,191' }
  ]
}

interface Columns {
  email: string
  username: string
  firstName: string
  lastName: string
  externalId?: string | null
  language?: string
  rootAdmin?: boolean
  password?: string
}

function columnsOf (body: Fields): Columns {
  const columns: Columns = {
    email: String(body.email), username: String(body.username).toLowerCase(), firstName: String(body.first_name), lastName: String(body.last_name)
  }
  if (lookUp(body, 'external_id').isPresent) columns.externalId = body.external_id as string | null
  if (typeof body.language === 'string') columns.language = body.language
  if (lookUp(body, 'root_admin').isPresent) columns.rootAdmin = isTrue(body.root_admin)
  if (typeof body.password === 'string') columns.password = body.password
  return columns
}

/** The unique keys of the table. There is none on external_id. */
const isHeld = (state: State, wanted: Columns, self?: User) =>
  state.userBy(user => user !== self && (sameText(user.email, wanted.email) || sameText(user.username, wanted.username))) !== undefined
