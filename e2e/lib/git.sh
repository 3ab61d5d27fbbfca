# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # GIT_HEAD is for the cases
# A git repository behind real servers on loopback, for the group gitops.
#
#   git_servers_up DIR PORT     nginx with git http-backend (TLS) on PORT, sshd PORT+1, git daemon PORT+2, a CONNECT proxy PORT+3,
#                               and PORT+4, which takes connections and says nothing. They end with the case.
#   git_commit MESSAGE [OPTION...]   what is in $GIT_WORK is committed and pushed; the commit is in GIT_HEAD
#
# $GIT_WORK is a clone, $GIT_BARE what is served. URLs: https://localhost:PORT/{open,basic,token}/config.git,
# ssh://git-user@localhost:PORT+1$GIT_BARE, git://localhost:PORT+2/config.git, file://$GIT_BARE

GIT_PACKAGES=(nginx-light fcgiwrap openssh-server openssh-client gpg gpg-agent gpgv)

# git of the case: nothing of the machine's configuration, the same author each time.
git() {
  HOME=$GIT_DIR_E2E GIT_CONFIG_NOSYSTEM=1 command git -c user.name=Case -c user.email=case@example.org -c init.defaultBranch=main \
    -c commit.gpgsign=false "$@"
}

# git_repository DIR: GIT_BARE and its clone GIT_WORK, without servers.
git_repository() {
  GIT_DIR_E2E=$1 GIT_WORK=$1/work GIT_BARE=$1/srv/config.git
  mkdir -p "$1/srv"
  git init -q --bare "$GIT_BARE"
  git -C "$GIT_BARE" config http.receivepack false
  git -C "$GIT_BARE" config safe.directory '*'
  printf '[safe]\n\tdirectory = *\n' >"$1/.gitconfig"
  git clone -q "$GIT_BARE" "$GIT_WORK" 2>/dev/null
}

git_servers_up() {
  GIT_PORT=$2
  install_packages "${GIT_PACKAGES[@]}"
  git_repository "$1"
  mkdir -p "$1/pki"
  git_pki
  git_nginx
  git_sshd
  git_daemon
  start git-proxy python3 "$E2E/lib/git-proxy.py" $((GIT_PORT + 3)) proxy:proxy-word
  start git-stall python3 -c 'import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(3600)' $((GIT_PORT + 4))
  local port
  for port in 0 1 2 3 4; do eventually 120 git_port_open $((GIT_PORT + port)); done
}

# git_daemon: the program itself, since `git daemon` would outlive the git that a signal ends.
git_daemon() {
  start git-daemon env HOME="$GIT_DIR_E2E" "$(command git --exec-path)/git-daemon" --reuseaddr --listen=127.0.0.1 --port=$((GIT_PORT + 2)) \
    --base-path="$GIT_DIR_E2E/srv" --export-all
}

git_port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

git_pki() {
  local pki=$GIT_DIR_E2E/pki
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=git-ca \
    -addext 'keyUsage=critical,keyCertSign' -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout "$pki/tls.key" -out "$pki/tls.csr" 2>/dev/null
  openssl x509 -req -in "$pki/tls.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 30 -out "$pki/tls.crt" \
    -extfile <(printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n') 2>/dev/null
}

# nginx, and git http-backend through fcgiwrap. /basic/ asks for git:git-word, /token/ for the bearer token-word.
git_nginx() {
  local dir=$GIT_DIR_E2E
  mkdir -p "$dir/nginx"
  printf 'git:%s\n' "$(openssl passwd -apr1 git-word)" >"$dir/nginx/users"
  cat >"$dir/nginx/nginx.conf" <<END
daemon off;
master_process off; # a worker would outlive a master that is killed
pid $dir/nginx/pid;
error_log $dir/nginx/error.log info;
events {}
http {
  access_log $dir/nginx/access.log;
  client_body_temp_path $dir/nginx/body;
  proxy_temp_path $dir/nginx/proxy;
  fastcgi_temp_path $dir/nginx/fastcgi;
  uwsgi_temp_path $dir/nginx/uwsgi;
  scgi_temp_path $dir/nginx/scgi;
  map \$http_authorization \$has_token { default 0; "Bearer token-word" 1; }
  server {
    listen 127.0.0.1:$GIT_PORT ssl;
    server_name localhost;
    ssl_certificate $dir/pki/tls.crt;
    ssl_certificate_key $dir/pki/tls.key;
    fastcgi_param SCRIPT_FILENAME $(command git --exec-path)/git-http-backend;
    fastcgi_param GIT_HTTP_EXPORT_ALL 1;
    fastcgi_param GIT_PROJECT_ROOT $dir/srv;
    fastcgi_param HOME $dir;
    fastcgi_param PATH_INFO \$repository;
    fastcgi_param QUERY_STRING \$query_string;
    fastcgi_param REQUEST_METHOD \$request_method;
    fastcgi_param CONTENT_TYPE \$content_type;
    fastcgi_param CONTENT_LENGTH \$content_length;
    fastcgi_param HTTP_CONTENT_ENCODING \$http_content_encoding;
    location ~ ^/open(?<repository>/.*)\$ { fastcgi_pass unix:$dir/nginx/fcgi; }
    location ~ ^/basic(?<repository>/.*)\$ {
      auth_basic git;
      auth_basic_user_file $dir/nginx/users;
      fastcgi_pass unix:$dir/nginx/fcgi;
    }
    location ~ ^/token(?<repository>/.*)\$ {
      if (\$has_token = 0) { return 401; }
      fastcgi_pass unix:$dir/nginx/fcgi;
    }
    location /away/ { return 302 https://127.0.0.1:$GIT_PORT/open/config.git/info/refs?service=git-upload-pack; }
  }
}
END
  start fcgiwrap fcgiwrap -s "unix:$dir/nginx/fcgi"
  start nginx nginx -e stderr -c "$dir/nginx/nginx.conf"
}

# git_sshd_on PORT KEY...: an sshd with these host keys of $GIT_DIR_E2E/ssh.
git_sshd_on() {
  local dir=$GIT_DIR_E2E/ssh key
  {
    printf 'Port %s\n' "$1"
    for key in "${@:2}"; do printf 'HostKey %s\n' "$dir/$key"; done
    cat <<END
ListenAddress 127.0.0.1
AuthorizedKeysFile $dir/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
PermitRootLogin forced-commands-only
SetEnv GIT_CONFIG_GLOBAL=$GIT_DIR_E2E/.gitconfig
END
  } >"$dir/sshd_config-$1"
  ((EUID != 0)) || mkdir -p /run/sshd
  start "sshd-$1" "$(PATH=$PATH:/usr/sbin command -v sshd)" -D -e -f "$dir/sshd_config-$1"
  eventually 120 git_port_open "$1"
}

# git_sshd: for one key, which may run git-shell and nothing else.
git_sshd() {
  local dir=$GIT_DIR_E2E/ssh
  mkdir -p "$dir"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/client"
  ssh-keygen -q -t ed25519 -N 'key-word' -f "$dir/client-locked"
  printf '[localhost]:%s %s\n' $((GIT_PORT + 1)) "$(cut -d' ' -f1,2 "$dir/host.pub")" >"$dir/known_hosts"
  # shellcheck disable=SC2016 # for sshd
  sed 's/^/command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"",restrict /' "$dir/client.pub" "$dir/client-locked.pub" >"$dir/authorized_keys"
  git_sshd_on $((GIT_PORT + 1)) host
}

git_commit() {
  git -C "$GIT_WORK" add -A
  git -C "$GIT_WORK" commit -q --allow-empty -m "$1" "${@:2}"
  git -C "$GIT_WORK" push -q origin HEAD 2>/dev/null || git -C "$GIT_WORK" push -q --force origin HEAD
  GIT_HEAD=$(git -C "$GIT_WORK" rev-parse HEAD)
}
