// A real authorization server (npm `oidc-provider`) with a small MCP server, for stress tests of OAuth.
//
//     node oidc.mjs [--access-ttl SECONDS]     both on one free port of 127.0.0.1
//
// When it accepts requests, it prints one line to stdout: `listening http://127.0.0.1:PORT`. The URL is also the issuer.
// It ends at SIGTERM, and when its stdin ends, so that it does not outlive a killed test.
//
// The MCP server is legacy and stateless, at /mcp and at /NAME/mcp for any NAME. Each URL is a separate resource (RFC 8707, RFC 9728).
// Another MCP server registers with /test/resource, and checks tokens at /token/introspection (RFC 7662).
//
// The sign-in page has the buttons `allow` and `deny`. A form that is posted without a button allows.
//
// A refresh token is single-use. If a client uses one again, oidc-provider treats it as stolen and destroys the grant: all tokens of
// that sign-in become invalid, including the newest. This happens to a client that sends a refresh twice or loses a new token.
//
// These endpoints are for tests. They read and return JSON:
//     POST /test/grant {name?, accessTtl?, clientId?}    signs a user in; with an accessTtl <= 0 the token has already expired
//          -> {issuer, clientId, accessToken, refreshToken, expiresAtMs, resource, grantId}
//     GET  /test/stats -> {requests, refreshes, refused, reuses, perGrant: {GRANT_ID: refreshes}}; `requests` counts all requests
//          except those to /test, and `refreshes` counts before `afterMs`
//     POST /test/reset-stats
//     POST /test/delay {beforeMs?, afterMs?}             delays each token request, before processing and before the response
//     POST /test/expire {accessToken}                    invalidates the token immediately
//     POST /test/revoke {refreshToken}                   withdraws the user's consent: destroys the grant
//     POST /test/resource {resource}                     registers the MCP server at this URL as a resource
//          -> {issuer, scope, clientId, clientSecret}    the credentials for introspection

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { parse as parseForm } from 'node:querystring';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { 'access-ttl': { type: 'string', default: '3600' } } });
const accessTtl = Number(values['access-ttl']);
if (!Number.isSafeInteger(accessTtl) || accessTtl <= 0) {
  console.error('usage: node oidc.mjs [--access-ttl SECONDS]');
  process.exit(2);
}

process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();

// oidc-provider prints notices about production use with these functions, and console.info writes to stdout.
console.info = console.warn = () => {};
// oidc-provider requires Node.js 22. With this function, Node.js 20 is enough for the features that the tests use.
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);
const { Provider, errors } = await import('oidc-provider');

const http = createServer();
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const issuer = `http://127.0.0.1:${http.address().port}`;

const SCOPE = 'mcp:tools';
const SCOPES = `${SCOPE} offline_access`;
const USER = 'user-1';
const MCP_PATH = /^(\/[\w.~-]+)?\/mcp$/;
const seconds = () => Math.floor(Date.now() / 1000);
const noStats = () => ({ requests: 0, refreshes: 0, refused: 0, reuses: 0, perGrant: {} });
const stats = noStats();
// The URLs of the MCP servers in other processes.
const elsewhere = new Set();
const delay = { beforeMs: 0, afterMs: 0 };

// The adapter of oidc-provider keeps only 1000 rows, so it loses the information that a refresh token was used.
class Adapter {
  rows = new Map();
  grants = new Map();

  async upsert(id, row) {
    this.rows.set(id, row);
    if (!row.grantId) return;
    if (!this.grants.has(row.grantId)) this.grants.set(row.grantId, new Set());
    this.grants.get(row.grantId).add(id);
  }

  async find(id) {
    return this.rows.get(id);
  }

  async findByUid(uid) {
    return [...this.rows.values()].find((row) => row.uid === uid);
  }

  async consume(id) {
    this.rows.get(id).consumed = seconds();
  }

  async destroy(id) {
    this.grants.get(this.rows.get(id)?.grantId)?.delete(id);
    this.rows.delete(id);
  }

  async revokeByGrantId(grantId) {
    for (const id of this.grants.get(grantId) ?? []) this.rows.delete(id);
    this.grants.delete(grantId);
  }
}

const publicClient = (id) => ({
  client_id: id,
  application_type: 'native', // accepts any port in the redirect URI
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
});

// The client of the MCP servers in other processes. It only introspects tokens, and never signs in.
const introspectionClient = {
  client_id: 'resource-server',
  client_secret: randomBytes(16).toString('hex'),
  redirect_uris: [],
  response_types: [],
  grant_types: [],
};

const resourceServer = (resource) => ({ scope: SCOPE, audience: resource, accessTokenFormat: 'opaque' });

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const provider = new Provider(issuer, {
  adapter: Adapter,
  clients: [publicClient('client-1'), introspectionClient],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  clockTolerance: 0, // rejects an expired token immediately instead of after 15 s
  cookies: { keys: [randomBytes(16).toString('hex')] },
  expiresWithSession: () => false,
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => {
        const isHere = resource.startsWith(issuer) && MCP_PATH.test(resource.slice(issuer.length));
        if (!isHere && !elsewhere.has(resource)) throw new errors.InvalidTarget();
        return resourceServer(resource);
      },
    },
    revocation: { enabled: true },
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  jwks: { keys: [{ ...key, alg: 'ES256', use: 'sig' }] },
  // Each sign-in prompts the user and creates a new grant, so that revoking one does not affect another.
  loadExistingGrant: ({ oidc }) => oidc.result?.consent && oidc.provider.Grant.find(oidc.result.consent.grantId),
  renderError: (ctx, out) => {
    ctx.body = out; // the default page loads a font
  },
  rotateRefreshToken: true,
  scopes: ['openid', 'offline_access', SCOPE],
  ttl: { AccessToken: accessTtl, RefreshToken: 14 * 86400, Grant: 14 * 86400 },
});

provider.use(async (ctx, next) => {
  if (ctx.path !== '/token' || ctx.method !== 'POST') return next();
  const { beforeMs, afterMs } = delay;
  // Read the body before the delay: the server processes a request even if its sender is killed in the meantime.
  ctx.req.body = parseForm(await text(ctx.req));
  if (beforeMs) await sleep(beforeMs); // sleep(0) takes a whole millisecond
  await next();
  if (afterMs) await sleep(afterMs);
});
provider.on('grant.success', ({ oidc }) => {
  if (oidc.params.grant_type !== 'refresh_token') return;
  const id = oidc.entities.Grant.jti;
  stats.refreshes += 1;
  stats.perGrant[id] = (stats.perGrant[id] ?? 0) + 1;
});
provider.on('grant.error', (_, error) => {
  stats.refused += 1;
  if (error.error_detail === 'refresh token already used') stats.reuses += 1;
});
provider.on('server_error', (_, error) => console.error(error));

async function newGrant(clientId, scope, resources) {
  const grant = new provider.Grant({ accountId: USER, clientId });
  grant.addOIDCScope(scope);
  for (const resource of resources) grant.addResourceScope(resource, SCOPE);
  return grant.save();
}

const testEndpoints = {
  'POST /test/grant': async ({ name, accessTtl: ttl = accessTtl, clientId = 'client-1' }) => {
    const path = name === undefined ? '/mcp' : `/${name}/mcp`;
    if (!MCP_PATH.test(path) || !Number.isSafeInteger(ttl)) throw new TypeError('bad name or accessTtl');
    const resource = issuer + path;
    if (!(await provider.Client.find(clientId))) await provider.Client.adapter.upsert(clientId, publicClient(clientId));
    const client = await provider.Client.find(clientId);
    const grantId = await newGrant(clientId, SCOPES, [resource]);
    const common = { accountId: USER, client, grantId, gty: 'authorization_code' };
    const exp = seconds() + ttl;
    const refreshToken = new provider.RefreshToken({ ...common, scope: SCOPES, resource, rotations: 0 });
    const accessToken = new provider.AccessToken({
      ...common,
      scope: SCOPE,
      resourceServer: new provider.ResourceServer(resource, resourceServer(resource)),
      exp,
    });
    return {
      issuer,
      clientId,
      accessToken: await accessToken.save(),
      refreshToken: await refreshToken.save(),
      expiresAtMs: exp * 1000,
      resource,
      grantId,
    };
  },
  'GET /test/stats': () => stats,
  'POST /test/reset-stats': () => Object.assign(stats, noStats()),
  'POST /test/delay': ({ beforeMs = 0, afterMs = 0 }) => Object.assign(delay, { beforeMs, afterMs }),
  'POST /test/expire': async ({ accessToken }) => {
    const token = await provider.AccessToken.find(accessToken);
    await token?.destroy();
    return { found: token !== undefined };
  },
  'POST /test/revoke': async ({ refreshToken }) => {
    const token = await provider.RefreshToken.find(refreshToken);
    if (token) {
      await provider.AccessToken.revokeByGrantId(token.grantId);
      await provider.RefreshToken.revokeByGrantId(token.grantId);
      await provider.Grant.adapter.destroy(token.grantId);
    }
    return { found: token !== undefined };
  },
  'POST /test/resource': ({ resource }) => {
    elsewhere.add(new URL(resource).href);
    return { issuer, scope: SCOPE, clientId: introspectionClient.client_id, clientSecret: introspectionClient.client_secret };
  },
};

const methods = {
  initialize: ({ protocolVersion = '2025-11-25' }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'mcp-startup-e2e-oidc', version: '1.0.0' },
  }),
  ping: () => ({}),
  'tools/list': () => ({ tools: [{ name: 'noop', description: 'Do nothing.', inputSchema: { type: 'object' } }] }),
};

function json(response, status, body, headers) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function mcp(request, response, path) {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization)?.[1];
  const token = await provider.AccessToken.find(bearer);
  if (token?.aud !== issuer + path || !(await provider.Grant.find(token.grantId))) {
    const challenge = [`resource_metadata="${issuer}/.well-known/oauth-protected-resource${path}"`];
    if (bearer) challenge.push('error="invalid_token"');
    return json(response, 401, { error: 'unauthorized' }, { 'WWW-Authenticate': `Bearer ${challenge.join(', ')}` });
  }
  if (request.method === 'DELETE') return response.writeHead(200).end();
  if (request.method !== 'POST') return response.writeHead(405, { Allow: 'POST, DELETE' }).end();
  const { id, method, params = {} } = JSON.parse(await text(request));
  if (id === undefined) return response.writeHead(202).end();
  const answer = Object.hasOwn(methods, method)
    ? { result: methods[method](params) }
    : { error: { code: -32601, message: 'Method not found' } };
  return json(response, 200, { jsonrpc: '2.0', id, ...answer });
}

// The sign-in page, for a browser and for an HTTP client that keeps cookies. One button signs in and consents, the other denies.
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title>
<style>body { font: 1.1rem/1.5 sans-serif; max-width: 30rem; margin: 15vh auto } button { font: inherit; margin-right: 1rem }</style>
<h1>Sign in</h1><p>A program on your computer wants to use the tools of a server for you.</p>
<form method="post"><button id="allow">Allow</button><button id="deny" name="deny" value="yes">Deny</button></form>
`;

async function interaction(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
    return response.end(PAGE);
  }
  if (parseForm(await text(request)).deny) {
    // words: allow: the tests compare this text
    const refusal = { error: 'access_denied', error_description: 'the user has said no' };
    return provider.interactionFinished(request, response, refusal);
  }
  const resources = [params.resource ?? []].flat();
  const grantId = await newGrant(params.client_id, params.scope ?? '', resources);
  return provider.interactionFinished(request, response, { login: { accountId: USER }, consent: { grantId } });
}

const METADATA = '/.well-known/oauth-protected-resource';
const authorizationServer = provider.callback();
async function route(request, response) {
  const { pathname } = new URL(request.url, issuer);
  const test = testEndpoints[`${request.method} ${pathname}`];
  if (test) return json(response, 200, await test(JSON.parse((await text(request)) || '{}')));
  stats.requests += 1;
  if (MCP_PATH.test(pathname)) return mcp(request, response, pathname);
  if (pathname.startsWith('/interaction/')) return interaction(request, response);
  if (pathname.startsWith(METADATA) && MCP_PATH.test(pathname.slice(METADATA.length))) {
    return json(response, 200, {
      resource: issuer + pathname.slice(METADATA.length),
      authorization_servers: [issuer],
      scopes_supported: [SCOPE],
      bearer_methods_supported: ['header'],
    });
  }
  return authorizationServer(request, response);
}

http.on('request', (request, response) => {
  route(request, response).catch((error) => {
    if (!response.headersSent) json(response, 400, { error: error.message });
  });
});
process.stdout.write(`listening ${issuer}\n`);
