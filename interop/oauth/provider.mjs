// An authorization server, oidc-provider, for MCP servers: clients register themselves, PKCE, one resource for each token, refresh
// tokens that work once, revocation, introspection, proofs of keys (DPoP) with nonces, a client that signs. It prints its issuer, and ends with its standard input.
//
//     RESOURCES='{"http://127.0.0.1:1/mcp":"jwt"}' LIFETIME=12 INTROSPECTION_SECRET=... node provider.mjs
//
// Beside it, for the program that tests: GET /test/counts, POST /test/end-access and POST /test/revoke.
import * as crypto from 'node:crypto';
import * as http from 'node:http';
import Provider, { errors } from 'oidc-provider';

const resources = JSON.parse(process.env.RESOURCES); // the format of its tokens, by the resource's URL
const scopes = 'mcp:read mcp:write';
const counts = { prompts: 0, registrations: 0, logins: 0, refreshes: 0, revocations: 0, withoutResource: 0 };
const accessTokens = new Set();
const grants = new Set();

const server = http.createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const provider = new Provider(issuer, {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }] },
  cookies: { keys: [crypto.randomBytes(32).toString('hex')] },
  scopes: [...scopes.split(' '), 'offline_access'],
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  clients: [
    {
      client_id: 'resource-server',
      client_secret: process.env.INTROSPECTION_SECRET,
      grant_types: [],
      redirect_uris: [],
      response_types: [],
    },
    {
      client_id: 'robot',
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: JSON.parse(process.env.CLIENT_KEYS),
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  expiresWithSession: () => false,
  ttl: { AccessToken: Number(process.env.LIFETIME), AuthorizationCode: 60, Grant: 3600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  features: {
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: crypto.randomBytes(32), requireNonce: () => true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo(_ctx, resource) {
        if (!resources[resource]) throw new errors.InvalidTarget();
        return { scope: scopes, audience: resource, accessTokenFormat: resources[resource], jwt: { sign: { alg: 'RS256' } } };
      },
    },
  },
});

provider.on('registration_create.success', () => counts.registrations++);
provider.on('authorization_code.consumed', () => counts.logins++);
provider.on('refresh_token.consumed', () => counts.refreshes++);
provider.on('access_token.saved', (token) => accessTokens.add(token));
provider.on('refresh_token.saved', (token) => grants.add(token.grantId));
for (const event of ['authorization.error', 'grant.error', 'registration_create.error', 'revocation.error', 'introspection.error', 'server_error']) {
  provider.on(event, (_ctx, err) => console.error(`${event}: ${err.message}: ${err.error_description ?? ''} ${err.error_detail ?? ''}`));
}

// The provider takes the granted resource where a request names none; a client has to name it in every request all the same.
provider.use(async (ctx, next) => {
  await next();
  if (['authorization', 'token'].includes(ctx.oidc?.route) && !ctx.oidc.params?.resource) counts.withoutResource++;
});

const tests = {
  '/test/counts': () => counts,
  // Access tokens are gone, and refresh tokens are as good as before.
  '/test/end-access': async () => {
    for (const token of accessTokens) await token.destroy();
    accessTokens.clear();
  },
  // An administrator ends all logins.
  '/test/revoke': async () => {
    for (const id of grants) {
      await provider.AccessToken.revokeByGrantId(id);
      await provider.RefreshToken.revokeByGrantId(id);
      await (await provider.Grant.find(id))?.destroy();
    }
    grants.clear();
  },
};

const callback = provider.callback();
server.on('request', async (req, res) => {
  const { pathname } = new URL(req.url, issuer);
  if (pathname === '/auth') counts.prompts++;
  if (pathname === '/token/revocation') counts.revocations++;
  if (!tests[pathname]) return callback(req, res);
  const answer = await tests[pathname]();
  return res.setHeader('Content-Type', 'application/json').end(JSON.stringify(answer ?? {}));
});
console.log(issuer);
process.stdin.resume().on('end', () => process.exit());
