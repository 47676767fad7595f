// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// oidc-provider of npm with everything in memory, which signs JWTs with ES256 for one client. Its
// argument is the address.
import { generateKeyPairSync } from 'node:crypto'

import Provider from 'oidc-provider'

const address = process.argv[2]
const [host, port] = address.split(':')
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })

const provider = new Provider(`http://${address}`, {
  clients: [{
    client_id: 'sid1', client_secret: 'verysecret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    token_endpoint_auth_method: 'client_secret_basic', id_token_signed_response_alg: 'ES256'
  }],
  jwks: { keys: [{ ...key, alg: 'ES256', use: 'sig', kid: 'one' }] },
  routes: { token: '/oauth/token' },
  scopes: ['read'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'https://api.bench.test',
      getResourceServerInfo: () => ({ scope: 'read', accessTokenFormat: 'jwt', accessTokenTTL: 3600, jwt: { sign: { alg: 'ES256' } } })
    }
  }
})

provider.listen(Number(port), host)
